// What winnow writes is read by h5py, NumPy, SciPy, pandas and tools/winnow.py.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "core/error.h"
#include "experiments/results/container.h"
#include "experiments/results/survey.h"
#include "experiments/results/trial_file.h"
#include "experiments/results/weight_forms.h"
#include "tests/results/sample_sweep.h"
#include "tests/results/samples.h"

namespace winnow::test {
namespace {

constexpr const char* kPython = "/usr/bin/python3";

struct Stored {
  WeightRecord weight;
  WeightForm form;
};

std::vector<Stored> every_form() {
  std::vector<Stored> all = {
      {dense_weight("dense", {6, 5}), WeightForm::Dense},
      {cut_weight("cut"), WeightForm::Dense},
      {pruned_weight("csr", {40, 12, 3, 3}, 0.1), WeightForm::Csr},
      {pruned_weight("bitmask", {40, 12, 3, 3}, 0.3), WeightForm::Bitmask},
      {signed_weight("signs", {40, 12, 3, 3}, 0.3), WeightForm::SignMask},
      {supermask_weight("supermask", {40, 12, 3, 3}, 0.3), WeightForm::SignMask},
      {frozen_weight("overlay", {300, 200}, 0.05), WeightForm::Overlay},
      {coded_weight("codes", {40, 12, 3, 3}, 1), WeightForm::Own},
      {coded_weight("masked_codes", {40, 12, 3, 3}, 0.3), WeightForm::Own},
      // Enough Gaussian values to meet some that lie next to a rounding boundary.
      {frozen_weight("seed", {1000, 1000}, 0), WeightForm::Seed},
  };
  for (int kind = 0; kind <= static_cast<int>(InitSpec::Kind::SignedXavier); ++kind) {
    WeightRecord weight = frozen_weight("init", {70, 11, 3, 3}, 0);
    weight.seeded->spec = {static_cast<InitSpec::Kind>(kind), 0.3, 99, 630};
    weight.values = generated(*weight.seeded, weight.shape.numel());
    weight.name = std::string("init_") + name_of(weight.seeded->spec.kind);
    all.push_back({weight, WeightForm::Seed});
  }
  return all;
}

// A trial file with each weight in the form the test wants, not the one the writer would choose.
void write_trial_with_every_form(const std::filesystem::path& folder) {
  TrialResult result = sample_trial();
  result.weights.clear();
  PosixFiles files;
  const auto bytes = encode_trial(result, kCreated);
  const Unsealed content = unsealed(bytes);
  const Hdf5File from = Hdf5File::from_bytes(content.image, "sample");
  Hdf5File file = Hdf5File::create();
  for (const char* name : {"schema", "schema_version"}) file.set("/", name, from.text("/", name));
  for (const auto& name : from.children("/")) {
    if (name != "weights") file.copy_from(from, "/" + name, "/" + name);
  }
  file.make_group("/weights");
  for (const Stored& stored : every_form()) {
    WeightForms(stored.weight).write(file, "/weights/" + stored.weight.name, stored.form);
    std::ofstream raw(folder / (stored.weight.name + ".bin"), std::ios::binary);
    raw.write(reinterpret_cast<const char*>(stored.weight.values.data()),
              static_cast<std::streamsize>(stored.weight.values.size() * sizeof(float)));
  }
  files.replace(folder / "trial.h5", std::span<const std::byte>(sealed(file.bytes(), content.note)));
}

TEST(Readers, ScipyPandasAndTheReferenceReaderAgreeWithTheWriter) {
  const std::string probe = std::string(kPython) + " -c 'import h5py, numpy, pandas, scipy' 2>/dev/null";
  ASSERT_EQ(std::system(probe.c_str()), 0) << "this test needs python3-h5py, python3-pandas and "
                                              "python3-scipy (tools/run-tests installs them)";
  TemporaryFolder folder;
  write_trial_with_every_form(folder.path());
  PosixFiles files;
  write_sample_sweep(files, folder.path());
  collect_survey(files, folder.path(), folder.path() / "survey.h5", SurveyWeights::Link);
  collect_survey(files, folder.path(), folder.path() / "packed.h5", SurveyWeights::Pack);
  const auto script = std::filesystem::path(WINNOW_SOURCE_DIR) / "tests/results/readers.py";
  const std::string command = std::string(kPython) + " -B " + script.string() + " " + folder.path().string();
  EXPECT_EQ(std::system(command.c_str()), 0);
}

}  // namespace
}  // namespace winnow::test
