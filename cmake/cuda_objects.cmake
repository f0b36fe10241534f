# Where nvcc is present the CUDA sources are compiled: they share their functors with the CPU kernels, so a functor that does
# not compile for the device is found here and now. Where NVIDIA's libraries are present as well, `winnow_cuda_kernels`
# is what a program links to run on a device, and `winnow_cuda_module` what it loads then (kernels/gpu_libraries.h). nvcc is
# called by hand, so that a machine without it can still configure the project.
find_program(WINNOW_NVCC nvcc HINTS /usr/local/cuda/bin)
if(NOT WINNOW_CUDA_OBJECTS OR NOT WINNOW_NVCC)
  message(STATUS "winnow: no nvcc, CUDA sources are not compiled")
  return()
endif()
execute_process(COMMAND "${WINNOW_NVCC}" --version OUTPUT_VARIABLE said ERROR_QUIET)
string(REGEX MATCH "release ([0-9.]+)" said "${said}")
if(NOT said OR CMAKE_MATCH_1 VERSION_LESS 12)
  message(STATUS "winnow: no nvcc of CUDA 12 or later (${WINNOW_NVCC}: ${said}), CUDA sources are not compiled")
  return()
endif()
message(STATUS "winnow: CUDA objects compiled with ${WINNOW_NVCC}")
include(vendor_libraries)

set(arch 80)
if(DEFINED ENV{WINNOW_CUDA_ARCH})
  set(arch "$ENV{WINNOW_CUDA_ARCH}")
endif()
set(WINNOW_CUDA_ARCH "${arch}" CACHE STRING "Compute capabilities of the CUDA code, such as 80;90;100; the newest one as PTX too")
execute_process(COMMAND "${WINNOW_NVCC}" --list-gpu-arch OUTPUT_VARIABLE known ERROR_QUIET)
set(capabilities ${WINNOW_CUDA_ARCH})
list(SORT capabilities COMPARE NATURAL)
set(gencode)
foreach(arch ${capabilities})
  # Not 90a, whose code runs on no other GPU.
  if(NOT arch MATCHES "^[0-9]+$" OR NOT known MATCHES "compute_${arch}\n")
    message(FATAL_ERROR "WINNOW_CUDA_ARCH: ${WINNOW_NVCC} does not know compute capability ${arch}")
  endif()
  list(APPEND gencode -gencode "arch=compute_${arch},code=sm_${arch}")
  set(newest "${arch}")
endforeach()
list(APPEND gencode -gencode "arch=compute_${newest},code=compute_${newest}")

file(GLOB cuda_sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/kernels/cuda/*.cu")
file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/cuda")
# In a unity build four units for all: each file alone is ten seconds of reading headers, once for each capability.
if(CMAKE_UNITY_BUILD)
  foreach(unit 0 1 2 3)
    set(includes_${unit} "")
  endforeach()
  set(unit 0)
  foreach(source ${cuda_sources})
    string(APPEND includes_${unit} "#include \"${source}\"\n")
    math(EXPR unit "(${unit} + 1) % 4")
  endforeach()
  set(cuda_sources)
  foreach(unit 0 1 2 3)
    file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/cuda/unity_${unit}.cu" CONTENT "${includes_${unit}}" @ONLY)
    list(APPEND cuda_sources "${CMAKE_BINARY_DIR}/cuda/unity_${unit}.cu")
  endforeach()
endif()
set(cuda_objects)
foreach(source ${cuda_sources})
  get_filename_component(stem "${source}" NAME_WE)
  set(object "${CMAKE_BINARY_DIR}/cuda/${stem}.o")
  # What ptxas says of each kernel is kept beside the object, for tools/kernel-table; what is wrong is shown.
  add_custom_command(OUTPUT "${object}" BYPRODUCTS "${CMAKE_BINARY_DIR}/cuda/${stem}.ptxas"
    COMMAND sh -c "log=$1; shift; \"$@\" >\"$log\" 2>&1 || { grep -v '^ptxas info\\|bytes stack frame' \"$log\"; exit 1; }"
            sh "${CMAKE_BINARY_DIR}/cuda/${stem}.ptxas"
            "${WINNOW_NVCC}" -std=c++20 -O3 -ftz=true -fmad=false ${gencode} -Werror all-warnings -Xptxas -v
            -MD -MF "${object}.d" -I "${CMAKE_CURRENT_SOURCE_DIR}" -c "${source}" -o "${object}"
    DEPENDS "${source}" DEPFILE "${object}.d"
    COMMENT "nvcc ${stem}.cu" VERBATIM)
  list(APPEND cuda_objects "${object}")
endforeach()
add_custom_target(winnow_cuda_code DEPENDS ${cuda_objects})

# Layers by NVIDIA's libraries: host code, which no nvcc has to see.
set(vendor_objects)
if(WINNOW_CUBLASLT)
  file(GLOB vendor_sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/kernels/cuda/vendor/*.cpp")
  if(NOT WINNOW_CUDNN)
    list(FILTER vendor_sources EXCLUDE REGEX "/(convolution_[a-z]+|cudnn_handle|plan_files)\\.cpp$")
  endif()
  if(NOT WINNOW_NCCL)
    list(FILTER vendor_sources EXCLUDE REGEX "/nccl_[a-z]+\\.cpp$")
  endif()
  add_library(winnow_cuda_vendor OBJECT ${vendor_sources})
  set_target_properties(winnow_cuda_vendor PROPERTIES UNITY_BUILD OFF POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(winnow_cuda_vendor PRIVATE winnow_options)
  set_source_files_properties("${CMAKE_CURRENT_SOURCE_DIR}/kernels/cuda/vendor/libraries.cpp"
    PROPERTIES INCLUDE_DIRECTORIES "${CMAKE_BINARY_DIR}/generated")
  add_dependencies(winnow_cuda_vendor winnow_sources)
  # Four fifths of the time that cudnn-frontend takes to compile go into optimising what runs once for each shape of a layer.
  set_source_files_properties("${CMAKE_CURRENT_SOURCE_DIR}/kernels/cuda/vendor/convolution_plan.cpp"
    PROPERTIES COMPILE_OPTIONS "-O0")
  target_include_directories(winnow_cuda_vendor SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
  target_compile_definitions(winnow_cuda_vendor PRIVATE WINNOW_CUDNN=$<BOOL:${WINNOW_CUDNN}>)
  if(WINNOW_CUDNN)
    target_include_directories(winnow_cuda_vendor SYSTEM PRIVATE "${WINNOW_CUDNN_INCLUDE}" "${WINNOW_CUDNN_FRONTEND_INCLUDE}")
  endif()
  if(WINNOW_NCCL)
    target_include_directories(winnow_cuda_vendor SYSTEM PRIVATE "${WINNOW_NCCL_INCLUDE}")
  endif()
  set(vendor_objects $<TARGET_OBJECTS:winnow_cuda_vendor>)

  # Objects and not an archive: what the ops run are weak references (kernels/for_each.h), for which a linker takes nothing out
  # of an archive.
  add_library(winnow_cuda_kernels INTERFACE)
  target_link_libraries(winnow_cuda_kernels INTERFACE winnow_options ${cuda_objects} CUDA::cudart_static)
  add_dependencies(winnow_cuda_kernels winnow_cuda_code)

  set(vendor_libraries CUDA::cublasLt)
  if(WINNOW_CUDNN)
    list(APPEND vendor_libraries "${WINNOW_CUDNN_LIBRARY}" CUDA::nvrtc)
  endif()
  if(WINNOW_NCCL)
    list(APPEND vendor_libraries "${WINNOW_NCCL_LIBRARY}")
  endif()
  # Has the CUDA runtime once more, as each of NVIDIA's libraries has: all of them share the driver's context.
  add_library(winnow_cuda_module MODULE ${vendor_objects})
  set_target_properties(winnow_cuda_module PROPERTIES OUTPUT_NAME winnow_cuda LINKER_LANGUAGE CXX
    INSTALL_RPATH_USE_LINK_PATH TRUE)
  target_link_libraries(winnow_cuda_module PRIVATE ${vendor_libraries} CUDA::cudart_static)

  # All in one, for tests.
  add_library(winnow_cuda INTERFACE)
  target_link_libraries(winnow_cuda INTERFACE winnow_cuda_kernels ${vendor_objects} ${vendor_libraries})
  target_include_directories(winnow_cuda SYSTEM INTERFACE ${CUDAToolkit_INCLUDE_DIRS})
  add_dependencies(winnow_cuda winnow_cuda_vendor)

  # Does a program link, and start where there is no device?
  add_executable(cuda_links EXCLUDE_FROM_ALL tests/cuda_links.cpp)
  target_link_libraries(cuda_links PRIVATE winnow_cuda)
endif()

# What the ops, the vendor layers and the exchange of gradients run must stand in the lists of those sources.
set(checked "${CMAKE_BINARY_DIR}/cuda/lists_checked")
add_custom_command(OUTPUT "${checked}"
  COMMAND "${CMAKE_CURRENT_SOURCE_DIR}/tools/check-device-lists" $<TARGET_FILE:winnow_core> $<TARGET_FILE:winnow_kernels>
          $<TARGET_FILE:winnow_distributed>
          ${vendor_objects} -- ${cuda_objects}
  COMMAND "${CMAKE_COMMAND}" -E touch "${checked}"
  DEPENDS winnow_core winnow_kernels winnow_distributed ${vendor_objects} ${cuda_objects}
          "${CMAKE_CURRENT_SOURCE_DIR}/tools/check-device-lists" COMMAND_EXPAND_LISTS VERBATIM)
add_custom_target(winnow_cuda_objects ALL DEPENDS ${cuda_objects} ${vendor_objects} "${checked}")
