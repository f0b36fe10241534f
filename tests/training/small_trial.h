// A small trial on synthetic images that tests of training share: any model, method and settings, in seconds.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/train_settings.h"
#include "distributed/trainer.h"
#include "experiments/accounting/layer_count.h"
#include "experiments/data/registry.h"
#include "experiments/methods/compose.h"
#include "experiments/methods/registry.h"
#include "experiments/models/registry.h"

namespace winnow::test {

using Pairs = std::vector<std::pair<std::string, std::string>>;

inline Settings resolved(const Schema& schema, const Pairs& pairs) {
  Settings settings;
  for (const auto& [key, text] : pairs) settings.set(key, text);
  return resolve(schema, settings);
}

// What another trial of a sweep may have left: weights of another seed; `pruned`: every second prunable one is dropped.
inline Needed sample_needed(const BuildModel& build, const std::string& method, const std::string& role, bool pruned) {
  const Model model = build(1, DType::F32);
  ParamStore params(model, {});
  params.initialise(77);
  Needed needed{.method = method, .role = role, .trial = "00aa-r0", .tensors = {}, .init_seed = 77, .build = build};
  needed.macs = macs_dense(count_layers(model)) + macs_of_products(model);
  for (std::size_t p = 0; p < params.size(); ++p) {
    const auto values = params.weight(ParamId(p));
    const ParamSpec& spec = params.specs()[p];
    NeededTensor& tensor =
        needed.tensors.emplace_back(spec.name, spec.shape, std::vector(values.begin(), values.end()));
    for (std::size_t i = 0; pruned && spec.prunable && i < values.size(); ++i) {
      tensor.keep.push_back(i % 2 == 0 ? 1 : 0);
      if (i % 2 != 0) tensor.values[i] = 0;
    }
  }
  for (std::size_t b = 0; b < params.buffer_count(); ++b) {
    const auto values = params.buffer(b);
    const BufferSpec& spec = params.buffer_specs()[b];
    needed.tensors.emplace_back(spec.name, spec.shape, std::vector(values.begin(), values.end()));
  }
  return needed;
}

// Owns everything a Trainer borrows. Keys of `train`, `model` and `method` as in a sweep file, without the prefix.
class SmallTrial {
 public:
  explicit SmallTrial(const std::string& model = "lenet300", Pairs method = {{"name", "dense"}}, Pairs train = {},
                      Pairs data = {}, Pairs model_settings = {}, Communicator* comm = nullptr)
      : comm_(comm) {
    Pairs t = {{"epochs", "2"}, {"batch", "32"}, {"lr", "0.05"}, {"precision", "f32"}, {"eval_batch", "50"}};
    t.insert(t.end(), train.begin(), train.end());
    train_ = resolved(train_schema(), t);
    Pairs d = {{"height", "28"},    {"width", "28"},          {"channels", "1"},  {"classes", "10"},
               {"examples", "640"}, {"test_examples", "200"}, {"validation", "0"}};
    d.insert(d.end(), data.begin(), data.end());
    const DatasetDef& dataset = find_dataset("synthetic");
    const Settings data_settings = resolved(dataset.schema, d);
    data_ = dataset.open(data_settings);
    const ModelDef& def = find_model(model);
    build_ = [&def, s = resolved(def.schema, model_settings), shape = dataset.shape(data_settings)](
                 std::int64_t batch, DType compute) { return def.build(s, shape, batch, compute); };
    Settings m;
    for (const auto& [key, text] : method) m.set(key, text);
    method_ = make_method(m);
    for (const MethodPart& part : method_parts(m)) {
      for (const Setting& setting : find_method(part.name).schema) {
        if (setting.kind != Setting::Kind::Trial) continue;
        // A mask is that of a trial with the same methods beside it; a teacher is the model alone.
        const bool masks = find_method(part.name).make(part.settings)->touches().masks;
        const BuildModel edited = [this](std::int64_t batch, DType compute) {
          Model made = build_(batch, compute);
          GraphEditor editor(made, train_);
          method_->edit(editor);
          return made;
        };
        needed_.push_back(
            std::make_unique<Needed>(sample_needed(masks ? edited : build_, part.name, setting.key, masks)));
        method_->take(*needed_.back());
      }
    }
  }

  TrainJob job() {
    return {.build = build_,
            .method = *method_,
            .data = *data_,
            .train = train_,
            .seeds = {.init = 11, .data_order = 12, .augment = 13, .method = 14, .dropout = 15},
            .comm = comm_ != nullptr ? *comm_ : *self_,
            .observer = observer != nullptr ? *observer : observer_,
            .threads = threads,
            .start = start};
  }
  Trainer make() { return Trainer(job()); }
  const BuildModel& build() const { return build_; }
  Method& method() { return *method_; }
  const Settings& train() const { return train_; }

  int threads = 1;
  TrainObserver* observer = nullptr;  // borrowed; nothing: nobody looks
  std::map<std::string, std::vector<float>> start;

 private:
  Communicator* comm_;
  std::unique_ptr<Communicator> self_ = make_self();
  TrainObserver observer_;
  Settings train_;
  std::unique_ptr<Dataset> data_;
  BuildModel build_;
  std::vector<std::unique_ptr<Needed>> needed_;  // the method looks into it
  std::unique_ptr<Method> method_;
};

inline std::vector<float> all_weights(Trainer& trainer) {
  std::vector<float> values;
  for (std::size_t p = 0; p < trainer.params().size(); ++p) {
    const auto w = trainer.params().weight(ParamId(p));
    values.insert(values.end(), w.begin(), w.end());
  }
  return values;
}

// The trial's job with another method.
inline TrainJob with_method(SmallTrial& trial, Method& method) {
  const TrainJob job = trial.job();
  return {.build = job.build,
          .method = method,
          .data = job.data,
          .train = job.train,
          .seeds = job.seeds,
          .comm = job.comm,
          .observer = job.observer,
          .threads = job.threads};
}

}  // namespace winnow::test
