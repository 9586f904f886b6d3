#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds jaxtv for the GPU of this machine, checks it there and measures it, in less than 8 minutes:
#
#   benchmarks/gpu.sh [folder for report.md and logs]
#
# Uses the Python, JAX, CMake, nanobind, scikit-build-core and nvcc that are installed (PYTHON names
# another Python); installs nothing into them and fetches nothing.
set -uo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:-out/gpu}")
python=${PYTHON:-python3}
mkdir -p "$out"
report=$out/report.md
failures=0

export PYTHONPATH="$out/site" PYTHONSAFEPATH=1 XLA_PYTHON_CLIENT_PREALLOCATE=false

# step NAME SECONDS COMMAND...: one row of the report, and a log.
step() {
  local name=$1 limit=$2 log result start=$SECONDS
  log=$out/${1// /_}.log
  shift 2
  if timeout "$limit" "$@" >"$log" 2>&1; then
    result=passed
  else
    result="**failed** ($?)"
    failures=$((failures + 1))
  fi
  echo "| $name | $result | $(grep -v '^$' "$log" | tail -1 | tr '|' '/') | $((SECONDS - start)) |" >>"$report"
  echo "$name: $result"
}

arch=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -1 | tr -d .)
if [[ -z $arch ]]; then
  echo "No NVIDIA GPU here." >&2
  exit 1
fi
{
  echo "# jaxtv on $(nvidia-smi --query-gpu=name --format=csv,noheader | head -1)"
  echo
  echo "Driver $(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -1)," \
    "$(nvcc --version | grep -o 'release [0-9.]*'), sm_$arch," \
    "$("$python" -c 'import sys, jax, jaxlib; print(f"Python {sys.version.split()[0]}, JAX {jax.__version__}, jaxlib {jaxlib.__version__}")')"
  echo
  echo "| check | result | last line of its log | seconds |"
  echo "| --- | --- | --- | --- |"
} >"$report"

rm -rf "$out/site"
step build 150 "$python" -m pip install --no-build-isolation --no-deps --target "$out/site" \
  -C cmake.define.JAXTV_CUDA=ON -C cmake.define.CMAKE_CUDA_ARCHITECTURES="$arch-real" \
  -C build-dir="$out/build" .
step "CPU and CUDA agree" 60 "$python" benchmarks/gpu.py agree
XLA_FLAGS="--xla_gpu_graph_min_graph_size=1 --xla_gpu_enable_command_buffer=FUSION,CUSTOM_CALL" \
  step "CUDA graph inside scan" 60 "$python" benchmarks/gpu.py graph
for tool in memcheck racecheck initcheck synccheck; do
  if command -v compute-sanitizer >/dev/null; then
    step "compute-sanitizer $tool" 45 compute-sanitizer --tool "$tool" --error-exitcode 9 \
      "$python" benchmarks/gpu.py regimes
  fi
done
# One process for each file; the last line of the log sums up.
run_tests() {
  local logs=$out/tests name
  mkdir -p "$logs"
  printf '%s\n' "$@" | xargs -P 6 -I{} sh -c \
    '"$0" -m pytest -q -p no:cacheprovider -k "not reference" "tests/test_$1.py" >"$2/$1.log" 2>&1' \
    "$python" {} "$logs"
  local status=$?
  for name in "$@"; do
    [[ $status -ne 0 ]] && grep -hE '^(FAILED|ERROR)' "$logs/$name.log"
  done
  for name in "$@"; do echo -n "$name: $(tail -1 "$logs/$name.log"); "; done && echo
  return $status
}
export -f run_tests
export out python
JAXTV_TEST_BACKEND=cuda step tests 150 bash -c 'run_tests "$@"' run_tests \
  values gradients numerics transforms invariances errors newton certificate forward layers tvnd \
  export programs
step "Table 1" 45 "$python" benchmarks/table1.py
step benchmarks 90 "$python" benchmarks/gpu.py time "$out/times.md"
[[ -f $out/times.md ]] && cat "$out/times.md" >>"$report"
[[ -f $out/Table_1.log ]] && { echo && cat "$out/Table_1.log"; } >>"$report"
cat "$report"
exit $((failures > 0))
