#include "experiments/cli/bench_subject.h"

#include <algorithm>
#include <ostream>
#include <utility>

#include "core/error.h"
#include "experiments/models/registry.h"
#include "experiments/run/trial_setup.h"
#include "experiments/sweep/sweep.h"

namespace winnow {
namespace {

namespace po = boost::program_options;

constexpr std::pair<const char*, const char*> kOptionSettings[] = {{"model", "model.name"},
                                                                   {"method", "method.name"},
                                                                   {"precision", "train.precision"},
                                                                   {"batch", "train.batch"},
                                                                   {"device", "train.device"}};

struct ImageDefaults {
  std::int64_t size = 28, channels = 1, examples = 1'000'000, epochs = 160;
};

// The first of the usual image sizes that the model takes.
ImageDefaults image_size(const Settings& model_settings) {
  const ModelDef& model = find_model(model_settings.text("name"));
  ImageDefaults image;
  for (const auto& [size, channels] : {std::pair{32, 3}, {28, 1}, {224, 3}}) {
    image.size = size;
    image.channels = channels;
    // The LeNets take any image and are meant for digits.
    if (model.name.starts_with("lenet") && channels != 1) continue;
    try {
      model.build(model_settings, {size, size, channels, 10}, 1, DType::F32);
      break;
    } catch (const Error&) {
    }
  }
  return image;
}

// A device queues steps up to the end of an epoch, so there its epochs are long, as far as the images are soon made.
std::int64_t examples_for(const Settings& train, const ImageDefaults& image) {
  constexpr std::int64_t kMost = 1'000'000, kMostValues = std::int64_t{1} << 26;
  const std::int64_t batch = train.integer("batch"), fit = kMostValues / (image.size * image.size * image.channels);
  const std::int64_t wanted = train.text("device") == "cpu" ? 512 : std::min(64 * batch, fit);
  return std::clamp(wanted, std::min(4 * batch, kMost), kMost);
}

std::string sweep_of(const ImageDefaults& image) {
  return fmt::format(
      "trial:\n  data: {{name: synthetic, height: {0}, width: {0}, channels: {1}, examples: {2}, test_examples: 16, "
      "validation: 0}}\n  model: {{name: resnet20}}\n  method: {{name: dense}}\n"
      "  train: {{epochs: {3}, batch: 128, lr: 0.01, device: cpu}}\n",
      image.size, image.channels, image.examples, image.epochs);
}

ExpandOptions arguments_of(const po::variables_map& given) {
  ExpandOptions expand;
  if (given.contains("set")) expand.set = given["set"].as<std::vector<std::string>>();
  for (const std::string& argument : expand.set) {
    const bool is_read = std::ranges::any_of(
        std::initializer_list<const char*>{"data", "model", "method", "train"}, [&](const std::string& section) {
          return argument.starts_with(section + ".") || argument.starts_with(section + "=");
        });
    if (!is_read && argument.find('=') != std::string::npos) {
      fail(ErrorKind::Usage, "--set {}: bench reads settings of data, model, method and train (winnow explain train)",
           argument);
    }
    if (argument.starts_with("data.name=") && argument != "data.name=synthetic") {
      fail(ErrorKind::Usage, "--set {}: bench trains on images that it makes, data.name is synthetic", argument);
    }
  }
  for (const auto& [option, key] : kOptionSettings) {
    if (given[option].defaulted()) continue;
    const auto& value = given[option].value();
    const auto* number = boost::any_cast<std::int64_t>(&value);
    const std::string text = number != nullptr ? std::to_string(*number) : given[option].as<std::string>();
    expand.options.push_back({fmt::format("--{} {}", option, text), fmt::format("{}={}", key, text)});
  }
  return expand;
}

TrialSpec only_trial(const Sweep& sweep, const ExpandOptions& expand) {
  if (sweep.trials.size() != 1) {
    const std::string set = expand.set.empty() ? "" : fmt::format("--set {}: ", fmt::join(expand.set, " --set "));
    fail(ErrorKind::Usage, "{}bench measures one trial; these are {}, with those that others need", set,
         sweep.trials.size());
  }
  return sweep.trials.front();
}

}  // namespace

BenchSubject bench_subject(const po::variables_map& given, std::ostream& err) {
  constexpr const char* kName = "bench";
  ExpandOptions expand = arguments_of(given);
  // Which images are made depends on the model and the batch.
  expand.text = sweep_of({});
  const TrialSpec first = only_trial(load_sweep(kName, catalog(), expand), expand);
  ImageDefaults image = image_size(first.settings.below("model"));
  image.examples = examples_for(first.settings.below("train"), image);
  if (first.settings.text("train.device") != "cpu") image.epochs = 100'000;  // without an end while it is measured
  expand.text = sweep_of(image);
  expand.check = check_trial;
  const Sweep sweep = load_sweep(kName, catalog(), expand);
  for (const std::string& note : sweep.notes) {
    if (note.starts_with("--")) err << "winnow: note: " << note << "\n";
  }
  const TrialSpec spec = only_trial(sweep, expand);
  return {.data = spec.settings.below("data"),
          .model = spec.settings.below("model"),
          .method = spec.settings.below("method"),
          .train = spec.settings.below("train")};
}

}  // namespace winnow
