// A small catalog of its own and sweep files written to a temporary folder, so that these tests
// depend on no method, model or data set of the build.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "core/error.h"
#include "experiments/sweep/sweep.h"

namespace winnow::test {

using Kind = Setting::Kind;

inline Setting density() { return {.key = "density", .kind = Kind::Real, .fallback = {}, .range = Range{0, 1, true}}; }

inline Catalog small_catalog() {
  Catalog catalog;
  const Schema data = {{.key = "root", .kind = Kind::Path, .fallback = "$DATA"},
                       {.key = "augment", .kind = Kind::Choice, .fallback = "none", .choices = {"none", "standard"}},
                       {.key = "fraction", .kind = Kind::Real, .fallback = "1", .range = Range{0, 1, true}}};
  catalog.datasets = {{"cifar10", 1, data, "", ""}, {"mnist", 1, data, "", ""}};
  catalog.models = {{"resnet20", 1, {}, "", ""},
                    {"vgg16", 1, {}, "", ""},
                    {"lenet300", 1, {{.key = "hidden", .kind = Kind::IntList, .fallback = "[300, 100]"}}, "", ""}};
  catalog.methods = {
      {"dense", 1, {}, "", ""},
      {"magnitude",
       1,
       {density(), {.key = "schedule", .kind = Kind::Choice, .fallback = "oneshot", .choices = {"oneshot", "gradual"}}},
       "",
       ""},
      {"rigl",
       2,
       {density(),
        {.key = "alpha", .fallback = "0.3", .range = Range{0, 1}},
        {.key = "delta_t", .kind = Kind::Int, .fallback = "100", .range = Range{1, 1e6}}},
       "",
       ""},
      {"snip", 1, {density()}, "", ""},
      {"freeze",
       1,
       {{.key = "freeze_at", .fallback = {}, .range = Range{0, 1}},
        {.key = "order", .kind = Kind::Choice, .fallback = "front", .choices = {"front", "back"}}},
       "",
       ""},
      {"interspace",
       1,
       {{.key = "sharing", .kind = Kind::Choice, .fallback = "coarse", .choices = {"coarse", "fine"}}},
       "",
       ""},
      {"compander", 1, {{.key = "a", .fallback = "0.5", .range = Range{0, 1}}}, "", ""}};
  catalog.trial = {
      {.key = "train.epochs", .kind = Kind::Length, .fallback = "160ep"},
      {.key = "train.batch", .kind = Kind::Int, .fallback = "128", .range = Range{1, 1e6}},
      {.key = "train.optimizer", .kind = Kind::Choice, .fallback = "sgd", .choices = {"sgd", "adam"}},
      {.key = "train.lr", .fallback = "0.1", .range = Range{0, 10, true}},
      {.key = "train.momentum",
       .fallback = "0.9",
       .range = Range{0, 1},
       .read_when = {{where("train.optimizer", {"sgd"})}}},
      {.key = "train.nesterov",
       .kind = Kind::Bool,
       .fallback = "false",
       .read_when = {{unless("train.momentum", {"0"})}}},
      {.key = "train.weight_decay", .fallback = "0", .range = Range{0, 1}},
      {.key = "train.schedule.kind",
       .kind = Kind::Choice,
       .fallback = "constant",
       .choices = {"constant", "multistep", "cosine"}},
      {.key = "train.schedule.at",
       .kind = Kind::LengthList,
       .fallback = "[]",
       .is_set = true,
       .read_when = {{where("train.schedule.kind", {"multistep"})}}},
      {.key = "train.schedule.gamma", .fallback = "0.1", .read_when = {{where("train.schedule.kind", {"multistep"})}}},
      {.key = "init.from", .kind = Kind::Path, .fallback = ""},
      {.key = "ranks", .kind = Kind::Int, .fallback = "1", .range = Range{1, 1024}},
      {.key = "save.weights.form", .kind = Kind::Choice, .fallback = "auto", .choices = {"auto", "csr", "none"}},
      {.key = "save.checkpoint.keep", .kind = Kind::Int, .fallback = "2", .range = Range{1, 100}}};
  return catalog;
}

class SweepFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(::testing::TempDir()) /
              (std::string("winnow-") + info->test_suite_name() + "-" + info->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& name, const std::string& text) const {
    const auto path = folder_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  Sweep load(const std::string& text, const ExpandOptions& options = {}) const {
    return load_sweep(write("s.yaml", text), small_catalog(), options);
  }
  // The problems of a file, with the temporary folder left out.
  std::string problems(const std::string& text, const ExpandOptions& options = {}) const {
    try {
      load(text, options);
    } catch (const Error& error) {
      std::string shown = error.what();
      const std::string prefix = folder_.string() + "/";
      for (std::size_t at; (at = shown.find(prefix)) != std::string::npos;) shown.erase(at, prefix.size());
      return fmt::format("{}\n{}", static_cast<int>(error.kind()), shown);
    }
    return "no problem";
  }

  std::filesystem::path folder_;
};

// The smallest head of a sweep file; axes and changes follow it.
inline const std::string kHead =
    "sweep: t\n"
    "schema: 1\n"
    "trial:\n"
    "  data: {name: mnist}\n"
    "  model: {name: resnet20}\n";

}  // namespace winnow::test
