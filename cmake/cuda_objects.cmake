# Where nvcc is present the CUDA sources are compiled (objects only): they share their functors with
# the CPU kernels, so a functor that does not compile for the device is found here and now.
find_program(WINNOW_NVCC nvcc HINTS /usr/local/cuda/bin)
if(WINNOW_CUDA_OBJECTS AND WINNOW_NVCC)
  file(GLOB cuda_sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/kernels/cuda/*.cu")
  set(cuda_objects)
  foreach(source ${cuda_sources})
    get_filename_component(stem "${source}" NAME_WE)
    set(object "${CMAKE_BINARY_DIR}/cuda/${stem}.o")
    add_custom_command(OUTPUT "${object}"
      COMMAND "${WINNOW_NVCC}" -std=c++20 -O3 -ftz=true -fmad=false -arch=sm_80 -Werror all-warnings -MD -MF "${object}.d"
              -I "${CMAKE_CURRENT_SOURCE_DIR}" -c "${source}" -o "${object}"
      DEPENDS "${source}" DEPFILE "${object}.d"
      COMMENT "nvcc ${stem}.cu" VERBATIM)
    list(APPEND cuda_objects "${object}")
  endforeach()
  if(cuda_objects)
    file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/cuda")
    # What the ops run must stand in the lists of those sources.
    set(checked "${CMAKE_BINARY_DIR}/cuda/lists_checked")
    add_custom_command(OUTPUT "${checked}"
      COMMAND "${CMAKE_CURRENT_SOURCE_DIR}/tools/check-device-lists" $<TARGET_FILE:winnow_core> $<TARGET_FILE:winnow_kernels>
              -- ${cuda_objects}
      COMMAND "${CMAKE_COMMAND}" -E touch "${checked}"
      DEPENDS winnow_core winnow_kernels ${cuda_objects} "${CMAKE_CURRENT_SOURCE_DIR}/tools/check-device-lists" VERBATIM)
    add_custom_target(winnow_cuda_objects ALL DEPENDS ${cuda_objects} "${checked}")
  endif()
  message(STATUS "winnow: CUDA objects compiled with ${WINNOW_NVCC}")
else()
  message(STATUS "winnow: no nvcc, CUDA sources are not compiled")
endif()
