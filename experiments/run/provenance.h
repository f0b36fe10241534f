// Where a result comes from: build, machine, libraries, launch. Read once per process; no secrets,
// only an allow-listed part of the environment.
#pragma once

#include <map>
#include <optional>
#include <string>

namespace winnow {

std::map<std::string, std::string> process_provenance();
// Of GPU `ordinal`, or of the CPU: "device", and what is known of a GPU, its driver and libraries.
std::map<std::string, std::string> device_provenance(std::optional<int> gpu);
std::string mpi_version();    // "Open MPI v4.1.4"; before MPI starts too
std::string hdf5_version();   // "1.10.8"
std::string build_summary();  // of `winnow --version`: version, git revision, back ends

}  // namespace winnow
