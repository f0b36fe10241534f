# `winnow --version` and every result name the git revision that was built, also when a commit came after the last
# configure step; a tarball without history says "unknown".
set(version_header "${CMAKE_BINARY_DIR}/generated/winnow_version.h")
add_custom_target(winnow_revision BYPRODUCTS "${version_header}" VERBATIM
  COMMAND "${CMAKE_COMMAND}" -DSOURCE=${CMAKE_CURRENT_SOURCE_DIR} -DOUTPUT=${version_header}
    -DVERSION=${PROJECT_VERSION} "-DCOMPILER=${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}"
    -DBUILD_TYPE=${CMAKE_BUILD_TYPE} -P "${CMAKE_CURRENT_SOURCE_DIR}/cmake/write_version.cmake")
# A module is loaded into programs of the same sources only (kernels/gpu_libraries.h).
set(sources_header "${CMAKE_BINARY_DIR}/generated/winnow_sources.h")
add_custom_target(winnow_sources BYPRODUCTS "${sources_header}" VERBATIM
  COMMAND "${CMAKE_COMMAND}" -DSOURCE=${CMAKE_CURRENT_SOURCE_DIR} -DOUTPUT=${sources_header}
    -P "${CMAKE_CURRENT_SOURCE_DIR}/cmake/write_sources.cmake")
add_library(winnow_version INTERFACE)
add_dependencies(winnow_version winnow_revision)
target_include_directories(winnow_version INTERFACE "${CMAKE_BINARY_DIR}/generated")
