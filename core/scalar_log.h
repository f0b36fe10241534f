// Scalars that runs of a program leave, a row for each run, kept where the program runs until the host asks for them: so it
// waits once for many runs. Owns its memory; the program's must outlive it. Not synchronised.
#pragma once

#include <span>
#include <vector>

#include "core/memory.h"
#include "core/program.h"

namespace winnow {

// Where scalars of a program lie, f32 or i32, as a table of ScalarPlace in the memory where it runs (kernels/functors).
Memory scalar_places(const Program& program, std::span<const ValueId> scalars);

class ScalarLog {
 public:
  // Columns: `scalars` of the program, f32 or i32, then whether a number of its runs so far was not finite (RunStatus).
  // Up to `rows` at a time. One of the scalars that is not finite is marked in the program's run state, as its loss is.
  ScalarLog(const Program& program, std::span<const ValueId> scalars, std::size_t rows);
  void restart();  // as if it were new

  // A row of what a run leaves is noted behind it; not when full(). Then noted() counts it here.
  void join(Program::Beside& beside) const;
  void noted() { ++rows_; }
  bool empty() const { return rows_ == 0; }
  bool full() const { return rows_ == most_; }
  std::size_t columns() const { return columns_; }

  // All rows, one after the other, after all that was queued; they are then gone.
  std::vector<float> take();
  // The newest row; and another one in its place.
  std::vector<float> last() const;
  void replace_last(std::span<const float> row);

 private:
  float* row(std::size_t index) const { return reinterpret_cast<float*>(values_.get()) + index * columns_; }

  RunContext context_;
  std::size_t columns_, most_, rows_ = 0;
  Memory places_, values_, next_;  // next_: rows_ as the device counts
};

}  // namespace winnow
