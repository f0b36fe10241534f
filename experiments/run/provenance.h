// Where a result comes from: build, machine, libraries, launch. Read once per process; no secrets,
// only an allow-listed part of the environment.
#pragma once

#include <map>
#include <string>

namespace winnow {

std::map<std::string, std::string> process_provenance();
std::string build_summary();  // of `winnow --version`: version, git revision, back ends

}  // namespace winnow
