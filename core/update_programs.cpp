#include "core/update_programs.h"

#include <algorithm>

namespace winnow {

std::shared_ptr<CompiledUpdate> UpdatePrograms::find(const Graph& graph, const std::vector<Binding>& bindings,
                                                     const std::function<CompiledUpdate()>& make) {
  // Of the phases of a recipe, or of layers that rest in turns.
  constexpr std::size_t kMost = 4;
  const auto free = [](const auto& each) { return each.use_count() == 1; };
  const auto found = std::ranges::find_if(kept_, [&](const auto& each) {
    return free(each) && each->bindings == bindings && each->graph.same_but_reals(graph);
  });
  if (found != kept_.end()) {
    CompiledUpdate& update = **found;
    if (!(update.graph == graph)) {
      update.program.set_reals(graph);
      update.graph = graph;
    }
    std::rotate(found, found + 1, kept_.end());  // the one that was used last goes last
    return kept_.back();
  }
  if (kept_.size() == kMost) {
    if (const auto oldest = std::ranges::find_if(kept_, free); oldest != kept_.end()) kept_.erase(oldest);
  }
  auto made = std::make_shared<CompiledUpdate>(make());
  if (kept_.size() < kMost) kept_.push_back(made);
  return made;
}

}  // namespace winnow
