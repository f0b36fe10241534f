#include "experiments/results/weight_forms.h"

#include <gtest/gtest.h>

#include <bit>

#include "core/error.h"
#include "tests/results/samples.h"

namespace winnow::test {
namespace {

WeightRecord round_trip(const WeightRecord& weight, WeightForm form) {
  Hdf5File file = Hdf5File::create();
  file.make_group("/weights");
  WeightForms(weight).write(file, "/weights/" + weight.name, form);
  const auto bytes = file.bytes();
  return read_weight(Hdf5File::from_bytes(bytes, "test"), "/weights", weight.name);
}

void expect_same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(a[i]), std::bit_cast<std::uint32_t>(b[i])) << i;
  }
}

TEST(WeightForms, EveryPossibleFormGivesBackTheSameBits) {
  const Shape shape{20, 7, 3, 3};
  int tried = 0;
  for (const WeightRecord& weight :
       {dense_weight("dense", shape), pruned_weight("pruned", shape, 0.1), pruned_weight("empty", shape, 0),
        pruned_weight("full", shape, 1), frozen_weight("frozen", shape, 0), frozen_weight("overlay", shape, 0.1),
        supermask_weight("supermask", shape, 0.5), signed_weight("signed", shape, 0.3), dense_weight("bias", {5}),
        dense_weight("scalar", {}), pruned_weight("linear", {300, 784}, 0.02)}) {
    const WeightForms forms(weight);
    for (const WeightForm form : kStoredForms) {
      if (!forms.bytes(form)) continue;
      SCOPED_TRACE(weight.name + " as " + name_of(form));
      const WeightRecord back = round_trip(weight, form);
      expect_same_bits(back.values, weight.values);
      EXPECT_EQ(back.shape, weight.shape);
      EXPECT_EQ(back.trained, weight.trained);
      EXPECT_EQ(back.prunable, weight.prunable);
      if (!back.keep.empty() && !weight.keep.empty()) {
        EXPECT_EQ(back.keep, weight.keep);
      }
      ++tried;
    }
  }
  EXPECT_GT(tried, 25);
}

TEST(WeightForms, AutoIsCsrForPrunedTensorsUnlessAnotherFormSavesAFifth) {
  const Shape shape{64, 32, 3, 3};
  const auto chosen = [](const WeightRecord& weight) { return WeightForms(weight).choose("auto"); };
  EXPECT_EQ(chosen(dense_weight("dense", shape)), WeightForm::Dense);
  EXPECT_EQ(chosen(pruned_weight("pruned", shape, 0.1)), WeightForm::Csr);
  EXPECT_EQ(chosen(pruned_weight("full", shape, 1)), WeightForm::Dense);
  EXPECT_EQ(chosen(frozen_weight("frozen", shape, 0)), WeightForm::Seed);
  EXPECT_EQ(chosen(frozen_weight("overlay", shape, 0.05)), WeightForm::Overlay);
  EXPECT_EQ(chosen(supermask_weight("supermask", shape, 0.5)), WeightForm::SignMask);
  EXPECT_EQ(chosen(signed_weight("signed", shape, 0.5)), WeightForm::SignMask);
}

TEST(WeightForms, SayWhichChannelsAreLeftOfATensor) {
  const WeightRecord weight = cut_weight("cut"), back = round_trip(weight, WeightForm::Dense);
  expect_same_bits(back.values, weight.values);
  EXPECT_EQ(back.shape, weight.shape);
  EXPECT_EQ(back.whole, weight.whole);
  EXPECT_EQ(back.left, weight.left);
  EXPECT_TRUE(round_trip(dense_weight("dense", {6, 5}), WeightForm::Dense).left.empty());
}

TEST(WeightForms, ATensorThatDoesNotSayWhatIsLeftOfItIsDamaged) {
  WeightRecord weight = cut_weight("cut");
  weight.left[0].pop_back();
  EXPECT_THROW(round_trip(weight, WeightForm::Dense), Error);
}

// One piece, one chunk, several, and a last one that is not full.
TEST(WeightForms, ADenseTensorTakesWhatWasWorkedOutBefore) {
  for (const Shape& shape : {Shape{10}, Shape{300, 784}, Shape{512, 1024}, Shape{700, 512}, Shape{7, 64, 33, 33}}) {
    const WeightRecord weight = dense_weight("w", shape);
    const WeightForms worked_out(weight), written(weight);
    const std::int64_t expected = *worked_out.bytes(WeightForm::Dense);
    Hdf5File file = Hdf5File::create();
    written.write(file, "/w", WeightForm::Dense);
    EXPECT_EQ(*written.bytes(WeightForm::Dense), expected) << shape.text();
    EXPECT_EQ(file.stored_bytes("/w"), expected) << shape.text();
  }
}

TEST(WeightForms, AForcedFormIsUsedWhereItIsExact) {
  const Shape shape{30, 40};
  EXPECT_EQ(WeightForms(pruned_weight("w", shape, 0.1)).choose("dense"), WeightForm::Dense);
  EXPECT_EQ(WeightForms(pruned_weight("w", shape, 0.1)).choose("bitmask"), WeightForm::Bitmask);
  EXPECT_EQ(WeightForms(pruned_weight("w", shape, 0.1)).choose("seed"), WeightForm::Csr);
  EXPECT_EQ(WeightForms(frozen_weight("w", shape, 0.1)).choose("seed"), WeightForm::Overlay);
  EXPECT_EQ(WeightForms(pruned_weight("w", shape, 0.1)).choose("none"), WeightForm::None);
}

TEST(WeightForms, AMethodsOwnFormGivesBackTheSameBitsAndIsChosenUnlessAnotherIsAskedFor) {
  for (const double density : {0.0, 0.3, 1.0}) {
    const WeightRecord weight = coded_weight("w", {20, 7, 3, 3}, density);
    const WeightForms forms(weight);
    EXPECT_EQ(forms.choose("auto"), WeightForm::Own);
    EXPECT_EQ(forms.choose("dense"), WeightForm::Dense);
    EXPECT_EQ(forms.choose("none"), WeightForm::None);
    EXPECT_GT(*forms.bytes(WeightForm::Own), 0);
    const WeightRecord back = round_trip(weight, WeightForm::Own);
    expect_same_bits(back.values, weight.values);
    EXPECT_EQ(back.keep, weight.keep);
    ASSERT_TRUE(back.encoded);
    EXPECT_EQ(back.encoded->kind, "codebook");
    EXPECT_EQ(back.encoded->arrays, weight.encoded->arrays);
  }
}

TEST(WeightForms, AFormThatDecodesToOtherValuesIsNotWritten) {
  WeightRecord weight = coded_weight("w", {20, 7}, 1);
  weight.values[3] += 1;
  EXPECT_THROW(round_trip(weight, WeightForm::Own), Error);
}

TEST(WeightForms, AMaskedValueIsStoredAsZero) {
  WeightRecord weight = pruned_weight("w", {10, 10}, 0.5);
  for (float& value : weight.values) value = 3;
  const WeightRecord back = round_trip(weight, WeightForm::Dense);
  for (std::size_t i = 0; i < back.values.size(); ++i) EXPECT_EQ(back.values[i], weight.keep[i] ? 3.0f : 0.0f);
}

TEST(WeightForms, ZerosOfATensorThatNobodyPrunesAreValues) {
  WeightRecord bias = dense_weight("bias", {64});
  bias.values.assign(64, 0.0f);
  for (const char* wanted : {"bitmask", "csr", "dense", "auto"}) {
    const WeightForms forms(bias);
    EXPECT_EQ(forms.kept(), 64) << wanted;
    const WeightRecord back = round_trip(bias, forms.choose(wanted));
    expect_same_bits(back.values, bias.values);
    EXPECT_EQ(std::count(back.keep.begin(), back.keep.end(), 0), 0) << wanted << ": reads as pruned";
  }
  bias.prunable = true;
  EXPECT_EQ(WeightForms(bias).kept(), 0);
  bias.prunable = false;
  bias.keep.assign(64, 0);
  EXPECT_EQ(WeightForms(bias).kept(), 0) << "a method gave it a mask";
}

TEST(WeightForms, AnOverlayKnowsWhichEntriesWereTrained) {
  WeightRecord weight = frozen_weight("w", {40, 10}, 0.2);
  const WeightRecord back = round_trip(weight, WeightForm::Overlay);
  EXPECT_EQ(back.train, weight.train);
  ASSERT_TRUE(back.seeded);
  EXPECT_EQ(back.seeded->key, weight.seeded->key);
  EXPECT_EQ(back.seeded->spec, weight.seeded->spec);
}

TEST(WeightForms, ValuesThatDoNotMatchTheShapeAreRefused) {
  WeightRecord weight = dense_weight("w", {4, 4});
  weight.values.pop_back();
  EXPECT_THROW(WeightForms{weight}, Error);
}

}  // namespace
}  // namespace winnow::test
