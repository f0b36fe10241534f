// Compiled updates of trials that have ended, for the next one: a sweep over seeds and hyper-parameters compiles and records its
// update once. Kept beside the program whose gradients they apply, and gone with it; so their memory is bound for as long.
// Not synchronised.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/graph.h"
#include "core/mirrored.h"
#include "core/program.h"

namespace winnow {

struct CompiledUpdate {
  Graph graph;                    // what the program was compiled from, but for reals
  std::vector<Binding> bindings;  // to memory of the parameters
  Mirrored factors;               // on the learning rate, of each trained parameter
  std::vector<Memory> memory;     // for what is not written into the parameters, of each
  Program program;
};

class UpdatePrograms {
 public:
  // One that nobody uses and that is of an equal graph, but for reals, which it takes over, with equal bindings. Else what
  // `make` gives.
  std::shared_ptr<CompiledUpdate> find(const Graph& graph, const std::vector<Binding>& bindings,
                                       const std::function<CompiledUpdate()>& make);

 private:
  std::vector<std::shared_ptr<CompiledUpdate>> kept_;
};

}  // namespace winnow
