# Run by every build: writes OUTPUT, and touches it only if something in it changed.
execute_process(COMMAND git -C "${SOURCE}" describe --always --dirty --abbrev=12
  OUTPUT_VARIABLE REVISION OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT REVISION)
  set(REVISION "unknown")
endif()
configure_file("${SOURCE}/cmake/winnow_version.h.in" "${OUTPUT}" @ONLY)
