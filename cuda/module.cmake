# The module _cuda, of the package jaxtv or of a wheel of its own (packaging/cuda). A CUDA compiler
# has been found.

# Machine code for each generation that the compiler knows, and PTX of the newest for later ones.
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
  execute_process(COMMAND "${CMAKE_CUDA_COMPILER}" --list-gpu-code
                  OUTPUT_VARIABLE _known COMMAND_ERROR_IS_FATAL ANY)
  foreach(_generation 75 80 86 89 90 100 120)
    if(_known MATCHES "sm_${_generation}[^0-9]")
      list(APPEND CMAKE_CUDA_ARCHITECTURES ${_generation}-real)
      set(_newest ${_generation})
    endif()
  endforeach()
  list(APPEND CMAKE_CUDA_ARCHITECTURES ${_newest}-virtual)
endif()
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)
set(CMAKE_CUDA_RUNTIME_LIBRARY Static) # imports without a driver, and needs no CUDA at run time
set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
enable_language(CUDA)

nanobind_add_module(_cuda STABLE_ABI NB_STATIC NOMINSIZE
                    cuda/module.cc cuda/tv1d.cc cuda/tv1d_newton.cc cuda/tv1d_mass.cc
                    cuda/pull_back.cc cuda/component_mean.cc cuda/alternating.cc cuda/sweeps.cc
                    cuda/sweeps_by_lines.cc cuda/isotropic_steps.cc
                    cuda/lines/tv1d.cu cuda/lines/tv1d_in_step.cu cuda/lines/tv1d_warp.cu
                    cuda/lines/tv1d_block.cu cuda/lines/tv1d_grid.cu cuda/lines/tv1d_newton.cu
                    cuda/lines/tv1d_mass.cu
                    cuda/lines/pull_back.cu cuda/lines/pull_back_in_step.cu cuda/lines/pull_back_warp.cu
                    cuda/lines/pull_back_block.cu cuda/lines/pull_back_grid.cu
                    cuda/images/component_mean.cu cuda/images/components.cu
                    cuda/images/certificate.cu cuda/images/majority_vote.cu cuda/images/gap.cu
                    cuda/images/alternating.cu cuda/images/sweep_lines.cu cuda/images/solve.cu
                    cuda/images/solve_on_chip.cu
                    cuda/images/sweeps.cu cuda/images/sweeps_in_step.cu
                    cuda/images/reverse_in_step.cu
                    cuda/images/sweeps_by_lines.cu cuda/images/reverse_by_lines.cu
                    cuda/isotropic/steps.cu)
target_link_libraries(_cuda PRIVATE jaxtv_headers)
target_include_directories(_cuda SYSTEM PRIVATE ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
# No contraction to fused multiply-adds, as for the CPU.
target_compile_options(_cuda PRIVATE
  $<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr -fmad=false -Xcompiler=-Wall,-Wextra>)
target_link_options(_cuda PRIVATE LINKER:--exclude-libs,ALL)
install(TARGETS _cuda LIBRARY DESTINATION ${JAXTV_CUDA_PACKAGE} COMPONENT cuda)
list(JOIN CMAKE_CUDA_ARCHITECTURES " " _architectures)
set(JAXTV_CUDA_MODULE
    "built by ${CMAKE_CUDA_COMPILER} ${CMAKE_CUDA_COMPILER_VERSION} for ${_architectures}")
