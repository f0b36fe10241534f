// MPI in this process, from the first get() to exit, for the sources that call it. One thread.
#pragma once

#define OMPI_SKIP_MPICXX 1  // the C++ bindings of Open MPI do not compile without warnings
#include <mpi.h>

#include <functional>
#include <vector>

#include "distributed/node_peers.h"

namespace winnow {

// RanksLost: what MPI cannot do between ranks ends the job, and no trial is to blame.
void check_mpi(int code, const char* call);

// Groups and windows are given back at the end, in the order in which all ranks made them: freeing one is a collective call,
// which no destructor may make while its stack unwinds.
class MpiSession {
 public:
  static MpiSession& get();
  void keep(std::function<void()> give_back) { held_.push_back(std::move(give_back)); }
  const NodePeers& peers() const { return peers_; }  // the other ranks of this machine

 private:
  MpiSession();
  void find_peers();
  void end();

  std::vector<std::function<void()>> held_;
  NodePeers peers_;
};

}  // namespace winnow
