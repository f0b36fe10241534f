# Run by every build: writes to OUTPUT what tells the sources apart that a program and its module of NVIDIA's libraries must have
# in common, and touches it only if they changed.
file(GLOB_RECURSE sources "${SOURCE}/kernels/*.h" "${SOURCE}/kernels/*.cuh" "${SOURCE}/kernels/cuda/*.cu"
  "${SOURCE}/kernels/cuda/*.cpp")
list(SORT sources)
set(all)
foreach(source ${sources})
  file(SHA256 "${source}" one)
  string(APPEND all "${one}")
endforeach()
string(SHA256 all "${all}")
string(SUBSTRING "${all}" 0 16 SOURCES)
configure_file("${SOURCE}/cmake/winnow_sources.h.in" "${OUTPUT}" @ONLY)
