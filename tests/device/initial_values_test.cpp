// Initial values that a device draws: the bits of the CPU, and none of them is copied to it.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/init.h"
#include "core/memory.h"
#include "core/param_store.h"
#include "tests/device/emulated.h"
#include "tests/training/small_trial.h"

namespace winnow::test {
namespace {

using InitKind = InitSpec::Kind;
constexpr ParamId kWeight{0};
const InitKind kAllKinds[] = {InitKind::Constant,      InitKind::Normal,         InitKind::Uniform,
                              InitKind::KaimingNormal, InitKind::KaimingUniform, InitKind::TorchDefault,
                              InitKind::XavierNormal,  InitKind::SignedKaiming,  InitKind::SignedXavier};

std::vector<float> read(DeviceStream& stream, const TensorView& view) {
  std::vector<float> found(static_cast<std::size_t>(view.numel()));
  stream.download(found.data(), view.data, view.bytes());
  return found;
}

TEST(InitialValuesOnDevice, HaveTheBitsOfTheCpuForEveryKind) {
  in_every_order([] {
    const auto stream = open_device();
    const Exec exec{.device = stream->device(), .stream = stream->queue()};
    for (const InitKind kind : kAllKinds) {
      const InitSpec spec{kind, 0.3, 27, 64};
      const RngKey key{12345, stream_id("init/conv1.weight"), 2};
      for (const std::size_t n : {0, 1, 5, 1001, 70000}) {
        SCOPED_TRACE(std::string(name_of(kind)) + ", " + std::to_string(n));
        std::vector<float> expected(n), found(n);
        generate(spec, key, expected);
        const Memory memory(stream, n * sizeof(float));
        generate(spec, key, {reinterpret_cast<float*>(memory.get()), n}, exec);
        stream->download(found.data(), memory.get(), n * sizeof(float));
        EXPECT_EQ(found, expected);
      }
    }
  });
}

// Of every kind a parameter, and one without a gradient.
Model all_kinds() {
  Model model;
  for (const InitKind kind : kAllKinds) {
    model.params.push_back({.name = name_of(kind), .shape = {30, 17}, .init = {kind, 0.5, 17, 30}});
  }
  model.params.push_back({.name = "basis", .shape = {9}, .init = {InitKind::Normal, 1.0}, .trainable = false});
  model.buffers.push_back({.name = "bn.running_mean", .shape = {3}});
  model.buffers.push_back({.name = "bn.running_var", .shape = {3}, .initial = 1});
  return model;
}
const SlotShapes kSlots{slot_per_entry, slot_per_row};

// A store on a device beside one on the CPU, to which the same is done.
struct Stores {
  std::shared_ptr<DeviceStream> stream = open_device();
  ParamStore there{all_kinds(), kSlots, stream}, here{all_kinds(), kSlots};

  // What the device's programs would read.
  void expect_equal() {
    there.send();
    for (std::size_t i = 0; i < here.size(); ++i) {
      const ParamId id = ParamId(i);
      SCOPED_TRACE(here.specs()[i].name);
      EXPECT_EQ(read(*stream, there.weight_memory(id)), read_here(here.weight(id)));
      EXPECT_EQ(read(*stream, there.grad_memory(id)), read_here(here.own_gradient(id)));
      for (int s = 0; s < here.slot_count(id); ++s) {
        EXPECT_EQ(read(*stream, there.slot_memory(id, s)), read_here(here.slot(id, s)));
      }
    }
    for (std::size_t b = 0; b < here.buffer_count(); ++b) {
      EXPECT_EQ(read(*stream, there.buffer_memory(b)), read_here(here.buffer(b)));
    }
    MemoryState of_there, of_here;
    there.save(of_there);
    here.save(of_here);
    EXPECT_TRUE(of_there == of_here) << "what the host sees of it";
  }

  static std::vector<float> read_here(std::span<const float> values) { return {values.begin(), values.end()}; }
};

// That nothing was copied to the device since the counts began; a GPU does not tell.
void expect_nothing_sent() {
#if defined(WINNOW_EMULATED)
  EXPECT_EQ(emulator::counts(emulator::Within::Direct).bytes_to_device, 0u);
#endif
}
void count_anew() {
#if defined(WINNOW_EMULATED)
  emulator::reset_counts();
#endif
}

TEST(ParamStoreOnDevice, DrawsItsValuesThere) {
  in_every_order([] {
    Stores stores;
    for (ParamStore* store : {&stores.there, &stores.here}) store->initialise(3);
    stores.there.send();
    expect_nothing_sent();
#if defined(WINNOW_EMULATED)
    EXPECT_EQ(emulator::counts(emulator::Within::Direct).bytes_to_host, 0u) << "nobody has looked";
    (void)stores.there.weight(kWeight);
    EXPECT_EQ(emulator::counts(emulator::Within::Direct).bytes_to_host, 30u * 17 * sizeof(float));
#endif
    stores.expect_equal();
    expect_nothing_sent();
  });
}

TEST(ParamStoreOnDevice, DrawsOneParameterAnewAndLeavesTheOthers) {
  in_every_order([] {
    Stores stores;
    for (ParamStore* store : {&stores.there, &stores.here}) {
      store->initialise(3);
      for (std::size_t i = 0; i < store->size(); ++i) store->change(ParamId(i))[1] = 8;
    }
    stores.there.send();
    count_anew();
    for (ParamStore* store : {&stores.there, &stores.here}) {
      const std::uint64_t changes = store->changes();
      store->redraw(ParamId(1), 4);
      store->redraw(ParamId(9), 5);
      EXPECT_GT(store->changes(), changes);
    }
    stores.there.send();
    expect_nothing_sent();
    stores.expect_equal();
  });
}

// What the host had changed and not sent is of no use any more.
TEST(ParamStoreOnDevice, DrawsOverWhatTheHostHadChanged) {
  in_every_order([] {
    Stores stores;
    for (ParamStore* store : {&stores.there, &stores.here}) {
      for (float& value : store->change(kWeight)) value = 8;
      for (float& value : store->change_buffer(1)) value = 8;
      store->initialise(3);
    }
    stores.expect_equal();
    expect_nothing_sent();
  });
}

TEST(ParamStoreOnDevice, KeepsAMaskWhenItDrawsAnew) {
  in_every_order([] {
    Stores stores;
    for (ParamStore* store : {&stores.there, &stores.here}) {
      store->initialise(3);
      std::vector<std::uint8_t> keep(30 * 17);
      for (std::size_t i = 0; i < keep.size(); i += 3) keep[i] = 1;
      store->replace_mask(ParamId(1), MaskKind::Keep, keep);
      store->redraw(ParamId(1), 4);
      EXPECT_EQ(store->weight(ParamId(1))[1], 0);
      EXPECT_NE(store->weight(ParamId(1))[3], 0);
    }
    stores.expect_equal();
  });
}

TEST(ParamStoreOnDevice, StartsAnewForAnotherTrialWithoutACopy) {
  in_every_order([] {
    Stores stores;
    for (ParamStore* store : {&stores.there, &stores.here}) {
      store->initialise(3);
      for (std::size_t i = 0; i < store->size(); ++i) {
        const ParamId id = ParamId(i);
        for (float& value : store->change(id)) value = 7;
        for (float& value : store->change_own_gradient(id)) value = 7;
        for (int s = 0; s < store->slot_count(id); ++s) store->change_slot(id, s)[0] = 7;
      }
      store->change_buffer(0)[0] = 7;
      store->replace_mask(kWeight, MaskKind::Keep, std::vector<std::uint8_t>(30 * 17, 1));
    }
    stores.there.send();
    count_anew();
    for (ParamStore* store : {&stores.there, &stores.here}) ASSERT_TRUE(store->restart(all_kinds(), kSlots));
    stores.expect_equal();
    for (ParamStore* store : {&stores.there, &stores.here}) store->initialise(4);
    stores.expect_equal();
    expect_nothing_sent();
  });
}

// Weights and statistics at the start of a phase.
class StartValues final : public TrainObserver {
 public:
  void phase_started(const Phase&, TrainState& state) override {
    MemoryState& now = seen.emplace_back();
    state.params().save(now);
  }
  std::vector<MemoryState> seen;
};

// Two trials one after the other, the second in the memory of the first, and with a tensor that is given.
std::vector<MemoryState> starts(const std::shared_ptr<DeviceStream>& stream) {
  ProgramCache programs(stream);
  StartValues observer;
  for (const bool second : {false, true}) {
    SmallTrial trial("lenet300", {{"name", "dense"}}, {{"batch", "4"}, {"eval_batch", "10"}, {"epochs", "1"}},
                     {{"height", "8"}, {"width", "6"}, {"examples", "16"}, {"test_examples", "10"}});
    trial.observer = &observer;
    if (second) trial.start["fc2.bias"] = std::vector<float>(100, 0.25f);
    TrainJob job = trial.job();
    job.programs = &programs;
    if (second) job.seeds.init = 21;
    Trainer trainer(job);
    trainer.run();
  }
  EXPECT_GT(programs.reused(), 0) << "the second trial had memory of its own";
  return observer.seen;
}

TEST(ParamStoreOnDevice, ATrialInTheMemoryOfTheLastOneStartsAsOnTheCpu) {
  const std::vector<MemoryState> expected = starts(nullptr);
  ASSERT_EQ(expected.size(), 2u);
  in_every_order([&] {
    const std::vector<MemoryState> found = starts(open_device());
    ASSERT_EQ(found.size(), 2u);
    for (const std::size_t trial : {0, 1}) EXPECT_TRUE(found[trial] == expected[trial]) << "trial " << trial;
  });
}

}  // namespace
}  // namespace winnow::test
