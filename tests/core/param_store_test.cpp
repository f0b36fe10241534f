#include "core/param_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "core/error.h"
#include "tests/core/host_stream.h"

namespace winnow {
namespace {

using test::HostStream;

using Bits = std::vector<std::uint8_t>;

constexpr ParamId kWeight{0}, kFrozen{1}, kRetired{2};

Model small_model() {
  Model model;
  const InitSpec normal{InitSpec::Kind::Normal, 1.0};
  model.params.push_back({.name = "fc.weight", .shape = {2, 3}, .init = normal, .prunable = true});
  model.params.push_back({.name = "basis", .shape = {4}, .init = normal, .trainable = false, .seeded = true});
  model.params.push_back({.name = "old.weight", .shape = {8}, .init = normal, .retired = true});
  model.buffers.push_back({.name = "bn.running_var", .shape = {3}, .initial = 1});
  return model;
}

const SlotShapes kTwo{slot_per_entry, slot_per_entry};

ParamStore filled(const SlotShapes& slots = kTwo) {
  ParamStore store(small_model(), slots);
  store.initialise(11);
  store.enter_event("at a test", true);
  for (int s = 0; s < store.slot_count(kWeight); ++s) {
    for (float& value : store.change_slot(kWeight, s)) value = 0.5f;
  }
  return store;
}

std::vector<float> copy(std::span<const float> values) { return {values.begin(), values.end()}; }

TEST(ParamStore, InitialValuesAreRegeneratedFromTheSeed) {
  ParamStore store = filled();
  std::vector<float> again(6);
  const auto [spec, key] = store.seeded(kWeight);
  generate(spec, key, again);
  EXPECT_EQ(copy(store.weight(kWeight)), again);
  EXPECT_EQ(copy(store.buffer(0)), (std::vector<float>{1, 1, 1}));
  ParamStore other(small_model(), kTwo);
  other.initialise(12);
  EXPECT_NE(copy(other.weight(kWeight)), again);
}

TEST(ParamStore, GatherKeepsWhatIsLeftOfValuesSlotsMasksAndStatistics) {
  ParamStore store = filled();
  store.replace_mask(kWeight, MaskKind::Keep, Bits{1, 0, 1, 1, 1, 0});
  for (std::size_t i = 0; i < 6; ++i) {
    if (i != 1 && i != 5) store.change(kWeight)[i] = static_cast<float>(i + 1);
    if (i != 1 && i != 5) store.change_slot(kWeight, 1)[i] = 10 * static_cast<float>(i + 1);
  }
  for (std::size_t i = 0; i < 3; ++i) store.change_buffer(0)[i] = static_cast<float>(i);
  Model smaller = small_model();
  smaller.params[0].shape = {1, 2};
  smaller.buffers[0].shape = {2};
  const ChannelCut cut{{{{2, 3}, {{1}, {0, 2}}}, {{4}, {}}, {{8}, {}}}, {{{3}, {{0, 2}}}}};
  const std::vector<float> basis = copy(store.weight(kFrozen));
  const std::uint64_t revision = store.mask_revision();
  store.gather(smaller, cut);
  EXPECT_EQ(copy(store.weight(kWeight)), (std::vector<float>{4, 0}));
  EXPECT_EQ(copy(store.slot(kWeight, 1)), (std::vector<float>{40, 0}));
  EXPECT_EQ(store.slot_count(kWeight), 2);
  EXPECT_EQ(store.count(kWeight, MaskKind::Keep), 1);
  EXPECT_EQ(copy(store.buffer(0)), (std::vector<float>{0, 2}));
  EXPECT_EQ(copy(store.weight(kFrozen)), basis);
  EXPECT_EQ(store.specs()[0].shape, (Shape{1, 2}));
  EXPECT_NE(store.mask_revision(), revision);
}

TEST(ParamStore, FrozenParametersHaveNoGradientAndRetiredOnesNoMemory) {
  ParamStore store = filled();
  EXPECT_EQ(store.grad(kWeight).size(), 6u);
  EXPECT_EQ(store.slot_count(kWeight), 2);
  EXPECT_EQ(store.weight(kFrozen).size(), 4u);
  EXPECT_TRUE(store.grad(kFrozen).empty());
  EXPECT_EQ(store.slot_count(kFrozen), 0);
  EXPECT_EQ(store.live(kFrozen), 0);
  EXPECT_TRUE(store.weight(kRetired).empty());
}

TEST(ParamStore, SpansAreAlignedForVectorCode) {
  ParamStore store = filled();
  for (const float* data : {store.weight(kWeight).data(), store.grad(kWeight).data(), store.slot(kWeight, 1).data(),
                            store.buffer(0).data()}) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data) % 64, 0u);
  }
}

TEST(ParamStore, DroppedEntriesAndTheirSlotsBecomeZero) {
  ParamStore store = filled();
  const auto before = copy(store.weight(kWeight));
  store.replace_mask(kWeight, MaskKind::Keep, Bits{1, 0, 1, 1, 0, 1});
  for (const std::size_t i : {1u, 4u}) {
    EXPECT_EQ(store.weight(kWeight)[i], 0);
    EXPECT_EQ(store.slot(kWeight, 0)[i], 0);
    EXPECT_EQ(store.slot(kWeight, 1)[i], 0);
  }
  EXPECT_EQ(store.weight(kWeight)[0], before[0]);
  EXPECT_EQ(store.slot(kWeight, 0)[0], 0.5f);
  EXPECT_EQ(store.count(kWeight, MaskKind::Keep), 4);
  EXPECT_EQ(store.live(kWeight), 4);
}

TEST(ParamStore, NewlyKeptEntriesStartAtZeroEvenIfSomethingWroteThere) {
  ParamStore store = filled();
  store.replace_mask(kWeight, MaskKind::Keep, Bits{1, 0, 1, 1, 1, 1});
  store.change(kWeight)[1] = 3;
  store.change_slot(kWeight, 0)[1] = 3;
  const float kept = store.weight(kWeight)[0];
  store.replace_mask(kWeight, MaskKind::Keep, Bits{1, 1, 0, 1, 1, 1});
  EXPECT_EQ(store.weight(kWeight)[1], 0);
  EXPECT_EQ(store.slot(kWeight, 0)[1], 0);
  EXPECT_EQ(store.weight(kWeight)[0], kept);
  EXPECT_EQ(store.slot(kWeight, 0)[0], 0.5f);
}

TEST(ParamStore, FrozenEntriesKeepTheirValueAndLoseTheirSlots) {
  ParamStore store = filled();
  const auto before = copy(store.weight(kWeight));
  store.replace_mask(kWeight, MaskKind::Trainable, Bits{1, 0, 1, 1, 1, 1});
  EXPECT_EQ(copy(store.weight(kWeight)), before);
  EXPECT_EQ(store.slot(kWeight, 0)[1], 0);
  store.replace_mask(kWeight, MaskKind::Keep, Bits{0, 1, 1, 1, 1, 1});
  EXPECT_EQ(store.live(kWeight), 4);
}

TEST(ParamStore, RefusesMasksOfAnotherSizeOrWithOtherBytes) {
  ParamStore store = filled();
  EXPECT_THROW(store.replace_mask(kWeight, MaskKind::Keep, Bits{1, 0}), Error);
  EXPECT_THROW(store.replace_mask(kWeight, MaskKind::Keep, Bits{1, 0, 2, 1, 1, 1}), Error);
}

TEST(ParamStore, MaskDigestSeesEveryBitAndTheKindOfMask) {
  ParamStore a = filled(), b = filled();
  EXPECT_EQ(a.mask_digest(), b.mask_digest());
  a.replace_mask(kWeight, MaskKind::Keep, Bits{1, 0, 1, 1, 1, 1});
  b.replace_mask(kWeight, MaskKind::Keep, Bits{1, 1, 0, 1, 1, 1});
  EXPECT_NE(a.mask_digest(), b.mask_digest());
  ParamStore c = filled();
  c.replace_mask(kWeight, MaskKind::Trainable, Bits{1, 0, 1, 1, 1, 1});
  EXPECT_NE(a.mask_digest(), c.mask_digest());
}

TEST(ParamStore, LoadGivesBackWhatSaveTookAndReadsAllOfIt) {
  ParamStore store = filled();
  store.replace_mask(kWeight, MaskKind::Keep, Bits{1, 0, 1, 1, 0, 1});
  MemoryState state;
  store.save(state);
  ParamStore fresh(small_model(), kTwo);
  fresh.initialise(99);
  fresh.load(state);
  EXPECT_TRUE(state.unread().empty());
  MemoryState again;
  fresh.save(again);
  EXPECT_TRUE(again == state);
  EXPECT_EQ(fresh.seeded(kWeight).key, store.seeded(kWeight).key);
}

TEST(ParamStore, ARedrawnParameterIsRegeneratedFromItsNewSeedOnly) {
  ParamStore store = filled();
  const auto before = copy(store.weight(kWeight));
  store.redraw(kWeight, 12);
  EXPECT_NE(copy(store.weight(kWeight)), before);
  EXPECT_EQ(store.seeded(kWeight).key.seed, 12u);
  EXPECT_EQ(store.seeded(kFrozen).key.seed, 11u);
}

TEST(ParamStore, LoadRefusesTheStateOfAnotherShape) {
  MemoryState state;
  filled().save(state);
  Model other = small_model();
  other.params[0].shape = {3, 2};  // as many values
  ParamStore store(other, kTwo);
  try {
    store.load(state);
    FAIL() << "took a 2x3 tensor for a 3x2 one";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Input);
    EXPECT_STREQ(error.what(), "saved state 'param/fc.weight' is f32 2x3, expected is f32 3x2");
  }
}

// Memory of the "device" that the test may look at.
std::span<float> there(const TensorView& view) { return view.span<float>(); }

TEST(ParamStore, CopiesToAndFromADeviceWhatIsLookedAtAndNoMore) {
  const auto device = std::make_shared<HostStream>();
  ParamStore store(small_model(), kTwo, device);
  store.initialise(3);
  store.send();
  EXPECT_EQ(device->uploads, 0) << "all of it is made there";
  EXPECT_TRUE(std::ranges::equal(store.weight(kWeight), there(store.weight_memory(kWeight))));
  EXPECT_EQ(device->downloads, 1) << "of the one that was looked at";
  store.change(kWeight)[1] = 6;
  store.send();
  EXPECT_EQ(device->uploads, 1);
  EXPECT_EQ(there(store.weight_memory(kWeight))[1], 6);
  store.send();
  EXPECT_EQ(device->uploads, 1) << "nothing has changed";
  there(store.weight_memory(kWeight))[0] = 7;  // as an update would
  store.update_written();
  EXPECT_EQ(device->downloads, 1) << "nobody has asked";
  EXPECT_EQ(store.weight(kWeight)[0], 7);
  EXPECT_EQ(store.weight(kWeight)[0], 7);
  EXPECT_EQ(device->downloads, 2) << "fetched once";
  there(store.grad_memory(kWeight))[1] = 8;
  store.gradients_written();
  EXPECT_EQ(store.own_gradient(kWeight)[1], 8);
}

// Whatever changes values here starts from the device's, and the device has them before it goes on.
TEST(ParamStore, EveryChangeHereReachesTheDeviceAndKeepsWhatTheDeviceHadWritten) {
  const std::vector<std::pair<const char*, std::function<void(ParamStore&)>>> changes{
      {"change", [](ParamStore& store) { store.change(kWeight)[0] = 1; }},
      {"change_slot", [](ParamStore& store) { store.change_slot(kWeight, 0)[0] = 1; }},
      {"reset_slots", [](ParamStore& store) { store.reset_slots(); }},
      {"redraw", [](ParamStore& store) { store.redraw(kWeight, 5); }},
      {"replace_mask",
       [](ParamStore& store) {
         store.replace_mask(kWeight, MaskKind::Keep, Bits{1, 0, 1, 1, 0, 1});
       }},
      {"load",
       [](ParamStore& store) {
         MemoryState state;
         filled().save(state);
         store.load(state);
       }},
  };
  for (const auto& [name, change] : changes) {
    SCOPED_TRACE(name);
    ParamStore store(small_model(), kTwo, std::make_shared<HostStream>()), alone(small_model(), kTwo);
    for (ParamStore* one : {&store, &alone}) {
      one->initialise(3);
      one->send();
      for (const float at : {0, 1, 2}) there(one->weight_memory(kWeight))[static_cast<std::size_t>(at)] = 10 + at;
      there(one->slot_memory(kWeight, 0))[1] = 4;
      one->update_written();
      change(*one);
      one->send();
    }
    EXPECT_TRUE(std::ranges::equal(there(store.weight_memory(kWeight)), alone.weight(kWeight)));
    EXPECT_TRUE(std::ranges::equal(there(store.slot_memory(kWeight, 0)), alone.slot(kWeight, 0)));
  }
}

TEST(ParamStore, TheMaskOfADeviceStaysWhereRecordedProgramsReadIt) {
  ParamStore store(small_model(), kTwo, std::make_shared<HostStream>());
  store.initialise(3);
  EXPECT_EQ(store.mask_memory(kWeight, MaskKind::Keep), nullptr);
  store.replace_mask(kWeight, MaskKind::Keep, Bits{1, 0, 1, 1, 0, 1});
  store.send();
  const auto* mask = static_cast<const std::uint8_t*>(store.mask_memory(kWeight, MaskKind::Keep));
  EXPECT_TRUE(std::ranges::equal(store.mask(kWeight, MaskKind::Keep), std::span(mask, 6)));
  store.replace_mask(kWeight, MaskKind::Keep, Bits{0, 1, 1, 1, 0, 1});
  store.send();
  EXPECT_EQ(store.mask_memory(kWeight, MaskKind::Keep), mask);
  EXPECT_TRUE(std::ranges::equal(store.mask(kWeight, MaskKind::Keep), std::span(mask, 6)));
  store.replace_mask(kWeight, MaskKind::Keep, {});
  EXPECT_EQ(store.mask_memory(kWeight, MaskKind::Keep), nullptr);
}

TEST(ParamStore, GradientsAreThereAtDeclaredEventsOnly) {
  ParamStore store = filled();
  EXPECT_EQ(store.grad(kWeight).size(), 6u);
  store.enter_event("at PhaseEnd", false);
  try {
    (void)store.grad(kWeight);
    FAIL() << "gave stale gradients";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Internal);
    EXPECT_TRUE(std::string(error.what()).starts_with("gradients of 'fc.weight' are read at PhaseEnd;"))
        << error.what();
  }
  EXPECT_THROW((void)store.change_grad(kWeight), Error);
  EXPECT_EQ(store.grad_memory(kWeight).numel(), 6) << "programs bind the memory at any time";
}

TEST(ParamStore, LoadWithoutMasksPutsEarlierValuesUnderTheMasksOfNow) {
  ParamStore store = filled();
  const auto before = copy(store.weight(kWeight));
  MemoryState state;
  store.save(state, false, false);
  store.replace_mask(kWeight, MaskKind::Keep, Bits{1, 0, 1, 1, 1, 1});
  for (float& value : store.change(kWeight)) value *= 2;
  store.load(state, false, false);
  EXPECT_EQ(store.weight(kWeight)[0], before[0]);
  EXPECT_EQ(store.weight(kWeight)[1], 0);
}

}  // namespace
}  // namespace winnow
