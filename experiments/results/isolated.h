// Work on files whose maker is unknown, in child processes: whatever a file does to the HDF5 library there (crash,
// endless loop, all memory), it becomes one line that names the file, and the other files are read. A child does many
// items; after a death the next one goes on behind the item that killed it. `work` runs in a child and must not
// depend on what it changes in memory; the calling process holds no Hdf5File. Error{Unavailable} if no process can
// be started.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "core/error.h"

namespace winnow {

struct IsolationLimits {
  std::size_t memory = std::size_t{2} << 30;  // bytes beyond what the process has when it starts
  int cpu_seconds = 30;                       // of one item
  int wall_seconds = 600;                     // of one item
};

struct IsolatedWork {
  std::function<std::vector<std::byte>(std::size_t item)> work;             // in a child
  std::function<std::string(std::size_t item)> label;                       // the file, for messages
  std::function<void(std::size_t item, std::vector<std::byte>)> succeeded;  // here, in the order of items
  std::function<void(std::size_t item, const Error&)> failed;               // here, in the order of items
};

void run_isolated(std::size_t count, const IsolatedWork& work, const IsolationLimits& limits = {});
// One item; its failure is thrown.
std::vector<std::byte> run_isolated(const std::string& label, const std::function<std::vector<std::byte>()>& work,
                                    const IsolationLimits& limits = {});

}  // namespace winnow
