# SPDX-License-Identifier: MIT
"""Are files of PyTorch read as PyTorch reads them, and nothing that they hold is run?"""

import base64
import io
import os
import pickle
import zlib

import numpy as np
import pytest

from examples.wsol import pickles

# The same small state, saved by PyTorch 2.13 in its older and in its newer format.
LEGACY = (
    r"c-nQ6$#2s@6voF(2sLd9d&(O2ge4>)>jhc~RY+!O!^Ib5j5E|mCeE`bK_FGirA^9-BL@yW_Q;WA{}itL2}m6H9H)Uo82"
    r"g*C-;CdHzVYkJA2jdh=j9)n*E=f<`M&)4yMlh5Sk_1}#yWv7eB1ZT9uGp-Z<B-t#vEomR|t=ryxnrGHpxRnLr}cya5Hq"
    r"@^N^HvQnN+^!O-yoK?z+p6uh}@K?iizP@^1vdySI1+U@Q!qiE0NZ%ML+AJ|Ub><ZTlH8bEZyRO$V1#gFbVD?HH$=R%tj"
    r"PhfpwZ=(_Khc&w-xAN_phl`Ok2Q^Q>29@DDmBWLMzv0f(N^qE7h6d`5tLljC0)j)4Co*pXLWTzGg~&Cd)yW<9%@g677u"
    r"vqfoltmv|N)837T!v+$fdhc{J}}M~>o5B_4KSQfgIa5hns1i8#76prcz(l<=6K<4rm-It0h^UeU=o<Ji|jgeJC5{e~2a"
    r"<wm(s10)TI49LO=vO%YHX@kzh$<GQp*QE2tO!QZ+z<R?459q>wj(M^|qs+gyip5&3Tq#$obP+@q#7nU)d6O<<kT&T`Ou"
    r"Z`TT9d91M=#j{p}#RI3fu3Z5N_@>_z2}NF?j25gY|lWZUZL)mj^DFixGDO6`E9xO6Yl1LQ~E~nwCqR=0}<K?^K?b*|^<"
    r"fyVCeEIUd!$Io7|AZV@-sUre(<+x|JmwxM0<8^o3vOF<c^04+i*&<m&o^`Rm35&8seLp#tH=<Cui1)=K1"
)
ZIPPED = (
    r"c-o~^&2Q6Y7=Pm=ZfZ)u2J~albsMmBKpH!3(hf#jYw{*}(n8pzh)Ze`(^$B19_LLfm?l-L+Jbfg2_a4sH_%SIZO3Z=0T"
    r"OIGa6saKIB|pnhdr;|8rxNx(YpQBjrIOM-q+9bB(Fwegd`GV$JI;viDs9p#*#i>(WsWHUo{oEn_LQ9E8I^&l10=YONPD"
    r"-kutTAlqxl;VK#)4tzT{$W~D^+TEntSOOgOwGFj}v^$lF9E$9$+DS~2J8olT~6d+cN;F>hVi&4Cn>rLR*K?)rg)QHOAP"
    r"jmwk_-~gQ+knoS<+5d(dYKwlts#78S9Dvid}WlW0K!-S4p8VSz(GezGfn8OVuot88mq>uj%v>Zl`u^v*2^^2$OiP?tTJ"
    r"*xg%1jF$k}35Gq1p5m%Wwx8+_!2KH`KHVE|=03WJX98VsqCH5hi~KBRE80LO}*xUjC-+M-T%8%A0jo3}!MkG4ZQ9ukbA"
    r"M~uS9Zgg%PKEYdL9X@q^j#D^MfRi_z51(y7vH)YnI6F$KS)=fIU=!b3wFPezryPR}oJNBPg)?X{Hs*?^D2x{%-Av`xj>"
    r"KE(<gwSdlp)`;j0Q-|E2GpE%U;xIX-T&m_@)#Y&x$Gi@#^U+^JHkPG)!{ul(veeq?yJ-ZBegLMb3mu^M7602^L^x8D4T"
    r"|!R;ELkIZ-hE?=X%#p+Cv&+f%{`!WqmO`T;}`||k^k1qVK8M?{&Kv#~Z75R&O1aMVXX7JA}{vuWo_Ys?jX9zNfvj8!QN"
    r"F!zudBi-Tj#xq5K-@yyL)=F^MEs8UbB^uo=eeh~c@&y&v$NyDor#J(+IDAn9GlD|`{c<T)}gUB9<xCYNs-U(=k;9*pB>"
    r"Bc{h<fH^g0uC_bd~^EEz>kzjv07Ej8v_|NDi-j1s&0_K>rluh)pVy&ghFV9t+zUHGAW|BMjnT?0E?Zs@jw9eiD5gS%u@"
    r"6gl;tLBw<}H<gug(sXWmdTMe)%u18uBqE&^rOec{D6(g1iKYDKx4(`gF-Ou#8DU|)oc>|fyCZq{doaxQ53qp%^J|W@8h"
    r">FC{}37uh}`yz?3jFE9seNd3+VJm$<6^5ru)0KJ3zl1C8609=K8xZ$gRghTrte`cTJG{ILwv8Tz};Ux%2T5HxuUiYqux"
    r"B{ny8B@y`4uH4-2fc+#fW^D57u-foTP8ILK1?yH=8f5UILI`4G-kDcyk_ggd0yBxt;@2>q1Cxj@U"
)


@pytest.mark.parametrize("encoded", [LEGACY, ZIPPED])
def test_files_of_pytorch(encoded, tmp_path):
    path = tmp_path / "state.pth"
    content = zlib.decompress(base64.b85decode(encoded))
    path.write_bytes(content)
    state = pickles.read(path)
    assert set(state) == {"view", "all", "half", "parameter", "count"}
    x = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
    np.testing.assert_array_equal(state["all"], x)
    np.testing.assert_array_equal(state["view"], x.transpose(2, 0, 1)[1:3])
    np.testing.assert_array_equal(state["half"], [1.5, -2])
    np.testing.assert_array_equal(state["parameter"], [[1, 2], [3, 4]])
    assert state["count"] == 7 and state["half"].dtype == np.float16
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"state\.pth is no state"):
        pickles.read(path)


def test_a_file_cannot_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    stream = io.BytesIO()
    for part in (pickles.MAGIC, 1001, {}, Evil()):
        pickle.dump(part, stream, protocol=2)
    (tmp_path / "evil.pth").write_bytes(stream.getvalue())
    with pytest.raises(ValueError, match=r"mkdir has no place in a state"):
        pickles.read(tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()
