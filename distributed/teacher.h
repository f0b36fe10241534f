// The network of a finished trial beside the one that learns from it (GraphEditor::learn_from), on the same device: the values that
// it gives a batch. Owns its program and parameters. Not synchronised.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/needed.h"
#include "core/param_store.h"
#include "core/program.h"
#include "core/run_context.h"
#include "core/settings.h"
#include "distributed/communicator.h"

namespace winnow {

class Teacher {
 public:
  // `train`: settings of the trial that learns. Error{Settings} if the teacher's tensors are not all that its model needs,
  // or do not tell what its network computes.
  Teacher(const Teaching& teaching, const Settings& train, std::int64_t rows, DType compute, const RunContext& context);
  Teacher(const Teacher&) = delete;  // its program is bound to its values
  Teacher& operator=(const Teacher&) = delete;

  // Of a batch of images in the memory of the device, of which every rank of `ranks` has the same number. Queued on a device, but for
  // means over ranks, which are collective and waited for.
  void compute(void* images, Communicator& ranks);
  // The value at this position of Teaching::inputs, of the last batch, in the memory of the device; good until the next one.
  void* value(std::size_t at) const { return program_.view(values_[at].value).data; }
  std::size_t memory_bytes() const { return params_.bytes() + program_.arena_bytes() + program_.scratch_bytes(); }

 private:
  Model inference(const Teaching& teaching, const Settings& train, std::int64_t rows, DType compute);
  std::vector<ValueId> outputs() const;
  std::vector<Binding> bindings();
  void copy_values(const std::string& name, std::span<float> out);

  const Needed& needed_;
  std::vector<TaughtValue> values_;
  Model model_;
  ParamStore params_;
  Program program_;
  std::set<std::string> used_;
  std::vector<double> means_;  // of those over ranks, in the order of values_
};

}  // namespace winnow
