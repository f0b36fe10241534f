# `winnow --version` names the git revision; a tarball without history says "unknown".
execute_process(COMMAND git -C "${CMAKE_CURRENT_SOURCE_DIR}" describe --always --dirty --abbrev=12
  OUTPUT_VARIABLE WINNOW_GIT_REVISION OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT WINNOW_GIT_REVISION)
  set(WINNOW_GIT_REVISION "unknown")
endif()
file(WRITE "${CMAKE_BINARY_DIR}/generated/winnow_version.h.tmp"
  "#pragma once\n"
  "#define WINNOW_VERSION \"${PROJECT_VERSION}\"\n"
  "#define WINNOW_GIT_REVISION \"${WINNOW_GIT_REVISION}\"\n"
  "#define WINNOW_COMPILER \"${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}\"\n"
  "#define WINNOW_BUILD_TYPE \"${CMAKE_BUILD_TYPE}\"\n")
configure_file("${CMAKE_BINARY_DIR}/generated/winnow_version.h.tmp"
  "${CMAKE_BINARY_DIR}/generated/winnow_version.h" COPYONLY)
add_library(winnow_version INTERFACE)
target_include_directories(winnow_version INTERFACE "${CMAKE_BINARY_DIR}/generated")
