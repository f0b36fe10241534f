#include "distributed/dry_run.h"

#include <algorithm>
#include <array>
#include <memory>

#include "core/optimizer.h"
#include "kernels/dry.h"
#include "kernels/library_workspace.h"

namespace winnow {
namespace {

DryRun::Part part_of(Program& program, std::int64_t times) {
  DryRun::Part part{.nodes = program.dry_run(), .values = {}, .times = times};
  for (std::size_t id = 0; id < program.value_count(); ++id) {
    const TensorView view = program.view(ValueId(id));
    part.values.push_back({view.shape, view.dtype});
  }
  return part;
}

// Beside the programs: images made from the bytes of the data set (core/batch_feeder.h).
DryRun::Part part_of_batch(const TensorView& images) {
  NodeWork make{.op = "make_images", .name = "batch"};
  make.launches = 1;
  make.scratch_read = static_cast<std::size_t>(images.numel());
  make.passes = {{ValueId(0), true}};
  return {.nodes = {make}, .values = {{images.shape, images.dtype}}, .times = 1};
}

// Losses and counts of a pass, noted in a log (core/scalar_log.h).
NodeWork work_of_log() {
  NodeWork log{.op = "log", .name = "losses"};
  log.launches = 1;
  return log;
}

// The largest of any node: they run one after another.
std::size_t workspace_of(const std::vector<DryRun::Part>& parts) {
  std::size_t most = 0;
  for (const DryRun::Part& part : parts) {
    for (const NodeWork& node : part.nodes) {
      if (node.calls > 0) most = std::max(most, dry::most_library_workspace(node.op.starts_with("conv2d")));
    }
  }
  return most;
}

}  // namespace

DryRun dry_run(const Network& network, Method& method, const Settings& train, std::int64_t rows,
               std::int64_t eval_rows) {
  ProgramCache programs(std::make_shared<dry::Stream>());
  ParamStore& params = programs.begin(network.model(rows, Use::Train), Optimizer::slots(train));
  CompiledNetwork& net = programs.compiled(network.training(rows, rows));
  Program& training = net.program;
  training.prepare_to_feed(std::array{net.images, net.labels});
  training.prepare_to_feed(net.taught);
  Optimizer optimizer(train, params, method, training.context());

  DryRun run;
  run.parts.push_back(part_of(training, Optimizer::passes(train)));
  run.parts.back().nodes.push_back(work_of_log());
  run.statistics = net.statistics;
  run.params = params.bytes() + optimizer.point_bytes();
  if (method.touches().masks) run.params += params.reserve_masks();
  run.arena = training.arena_bytes();
  run.scratch = training.scratch_bytes();
  for (Program* program : optimizer.programs()) {
    run.parts.push_back(part_of(*program, 1));
    run.scratch += program->arena_bytes() + program->scratch_bytes();
  }
  run.parts.push_back(part_of_batch(training.view(net.images)));
  run.workspace = workspace_of(run.parts);
  for (const ValueId fed : net.taught) run.batches += training.view(fed).bytes();
  run.batches += training.view(net.images).bytes() + training.view(net.labels).bytes();
  const CompiledNetwork& evaluated = programs.compiled(network.evaluation(eval_rows));
  const Program& evaluation = evaluated.program;
  run.evaluation = evaluation.arena_bytes() + evaluation.scratch_bytes();
  run.batches += evaluation.view(evaluated.images).bytes() + evaluation.view(evaluated.labels).bytes();
  return run;
}

}  // namespace winnow
