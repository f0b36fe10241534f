#include "experiments/run/shared_sweep.h"

#include <nlohmann/json.hpp>
#include <type_traits>

#include "core/error.h"
#include "distributed/agree.h"
#include "experiments/run/compare_notes.h"

namespace winnow {
namespace {

template <class T>
void share_column(Communicator& world, std::vector<T>& column) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::uint64_t size = column.size();
  world.broadcast(std::as_writable_bytes(std::span(&size, 1)), 0);
  column.resize(size);
  world.broadcast(std::as_writable_bytes(std::span(column)), 0);
}

// A start file stands for its weights, and a node may have another one of its name.
void compare_contents(Communicator& world, const ExpandOptions& expand, const Sweep& sweep) {
  std::string shared = nlohmann::json(sweep.contents).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  share_text(world, shared, 0);
  agree(world, [&] {
    if (world.rank() == 0) return;
    for (const auto& [path, content] : nlohmann::json::parse(shared).get<std::map<std::string, std::string>>()) {
      if (expand.content(path) != content) fail(ErrorKind::Site, "has another file '{}' than rank 0", path);
    }
  });
}

}  // namespace

Sweep shared_sweep(Communicator& world, const SweepJob& job) {
  compare_notes(world, job);
  Sweep sweep;
  agree(world, [&] {
    if (world.rank() == 0) sweep = load_sweep(job.sweep, catalog(), job.expand);
  });
  if (world.size() == 1) return sweep;
  compare_contents(world, job.expand, sweep);
  sweep.trials.each_column([&](auto& column) { share_column(world, column); });
  share_text(world, sweep.text, 0);
  std::string rule = sweep.stop ? to_json(*sweep.stop) : "";
  share_text(world, rule, 0);
  if (!rule.empty()) sweep.stop = stop_rule_of(rule);
  return sweep;
}

}  // namespace winnow
