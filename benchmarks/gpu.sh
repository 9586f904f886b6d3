#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds jaxtv for the GPU of this machine, checks it there and measures it, in at most 6 minutes:
#
#   benchmarks/gpu.sh [folder for report.md and logs]
#
# The most telling steps come first; one that has no time left is not run, and what a step has found
# when its time is up is kept. Uses the Python, JAX, CMake, nanobind, scikit-build-core and nvcc that
# are installed (PYTHON names another Python); installs nothing into them and fetches nothing.
set -uo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:-out/gpu}")
python=${PYTHON:-python3}
budget=360
rm -rf "$out"
mkdir -p "$out"
report=$out/report.md
failures=0

export out python
export PYTHONPATH="$out/site" PYTHONSAFEPATH=1 XLA_PYTHON_CLIENT_PREALLOCATE=false

# step NAME SECONDS COMMAND...: one row of the report, and a log.
step() {
  local name=$1 limit=$2 left=$((budget - SECONDS)) start=$SECONDS log result
  log=$out/${1// /_}.log
  shift 2
  if ((left <= 0)); then
    result="not run: no time left"
    : >"$log"
  elif timeout "$((limit < left ? limit : left))" "$@" >"$log" 2>&1; then
    result=passed
  else
    result="**failed** ($?)"
    failures=$((failures + 1))
  fi
  echo "| $name | $result | $(grep -v '^$' "$log" | tail -1 | tr '|' '/') | $((SECONDS - start)) |" >>"$report"
  echo "$name: $result"
}

# Below the table of steps: the tests that failed or were skipped, and the measurements.
finish() {
  {
    printf '\n```\n'
    cat "$out"/tests/*.log 2>/dev/null | grep -hE '^(FAILED|ERROR|SKIPPED)' | sort
    printf '```\n\n'
    cat "$out/times.md" "$out/kernels.log" "$out/Table_1.log" 2>/dev/null
  } >>"$report"
  cat "$report"
}

arch=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -1 | tr -d .)
if [[ -z $arch ]]; then
  echo "No NVIDIA GPU here." >&2
  exit 1
fi
{
  echo "# jaxtv on $(nvidia-smi --query-gpu=name --format=csv,noheader | head -1), $(date -I)"
  echo
  echo "Driver $(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -1)," \
    "$(nvcc --version | grep -o 'release [0-9.]*'), sm_$arch," \
    "$("$python" -c 'import sys, jax, jaxlib; print(f"Python {sys.version.split()[0]}, JAX {jax.__version__}, jaxlib {jaxlib.__version__}")')"
  echo
  echo "| check | result | last line of its log | seconds |"
  echo "| --- | --- | --- | --- |"
} >"$report"
trap finish EXIT

step build 90 "$python" -m pip install --no-build-isolation --no-deps --target "$out/site" \
  -C cmake.define.JAXTV_CUDA=ON -C cmake.define.CMAKE_CUDA_ARCHITECTURES="$arch-real" \
  -C build-dir="$out/build" .

serves_gpu() {
  "$python" -m jaxtv | tee /dev/stderr | grep -q '^cuda.*compiled kernels.*right'
}
export -f serves_gpu
step "compiled kernels" 30 bash -c serves_gpu
if ((failures)); then
  echo "The GPU is not served by compiled kernels: nothing else is worth its time." >&2
  exit 1
fi

# One process for each file, at most 14 at once; the last line of the log sums up.
run_tests() {
  mkdir -p "$out/tests"
  printf '%s\n' "$@" | JAXTV_TEST_BACKEND=cuda xargs -P 14 -I{} sh -c \
    '"$0" -m pytest -q -ra -p no:cacheprovider -k "not reference" "tests/test_$1.py" >"$2/$1.log" 2>&1' \
    "$python" {} "$out/tests"
  local status=$?
  for name in "$@"; do echo -n "$name: $(tail -1 "$out/tests/$name.log"); "; done && echo
  return $status
}
export -f run_tests
step tests 170 bash -c 'run_tests "$@"' run_tests \
  certificate values newton transforms tvnd sharding numerics warm_start gradients sweeps \
  components programs pull_back export errors forward invariances layers nnx second_derivatives \
  vmap ffi

# The four tools side by side; each log keeps what its tool has found.
sanitize() {
  local tool pids=() status=0
  command -v compute-sanitizer || return
  for tool in memcheck racecheck initcheck synccheck; do
    compute-sanitizer --tool "$tool" --error-exitcode 9 "$python" benchmarks/gpu.py kernels \
      >"$out/$tool.log" 2>&1 &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || status=$?; done
  for tool in memcheck racecheck initcheck synccheck; do
    echo -n "$tool: $(grep -E 'ERROR SUMMARY|RACECHECK SUMMARY' "$out/$tool.log" | tail -1); "
  done && echo
  return $status
}
export -f sanitize
step compute-sanitizer 60 bash -c sanitize
step benchmarks 60 "$python" benchmarks/gpu.py time "$out/times.md"
step "CPU and CUDA agree" 60 "$python" benchmarks/gpu.py agree
XLA_FLAGS="--xla_gpu_graph_min_graph_size=1 --xla_gpu_enable_command_buffer=FUSION,CUSTOM_CALL --xla_dump_to=$out/hlo" \
  step "CUDA graph inside scan" 30 "$python" benchmarks/gpu.py graph "$out/hlo"
step kernels 120 "$python" benchmarks/gpu_kernels.py
step "Table 1" 45 "$python" benchmarks/table1.py
exit $((failures > 0))
