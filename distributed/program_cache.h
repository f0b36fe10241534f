// Memory of parameters and the programs that are bound to it, kept from one trial to the next. A sweep over seeds and
// hyper-parameters compiles once: a program is used again where the graph that it would be compiled from is equal but for
// real attributes, so whatever shapes a program is its key. Owned by a worker that trains one trial after the other; not synchronised.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/batch_feeder.h"
#include "core/device_pixels.h"
#include "core/method.h"
#include "core/param_store.h"
#include "core/passes.h"
#include "core/program.h"
#include "core/scalar_log.h"
#include "core/update_programs.h"

namespace winnow {

// A value that a program reports by name.
struct Reported {
  std::string name;
  ValueId value;
  bool operator==(const Reported&) const = default;
};

// What a program is compiled from. Train: gradients of the trained parameters, in their own memory. Probe: of all, in
// the program's. Without an objective: forward only.
struct ProgramDraft {
  Use use = Use::Evaluate;
  Model model;  // with the method's edits and the loss
  ValueId labels = kNoValue, loss = kNoValue, correct = kNoValue, correct5 = kNoValue;
  ValueId objective = kNoValue;         // what is differentiated: the loss of the labels, and extra ones
  std::vector<Reported> reported = {};  // of training the extra losses, of evaluation what is observed
  std::vector<ValueId> taught = {};     // what a teacher computes, and is fed (Teaching::inputs)
  int threads = 1;
  bool at_event = false;               // it runs on the CPU, wherever the trial is trained
  std::vector<NamedValue> named = {};  // of a probe's edit: their values and gradients are kept
  bool fuse_statistics = false;        // of training on a device: fuse_statistics() of core/passes.h
};

// A compiled network and the values its user binds and reads.
struct CompiledNetwork {
  Program program;
  ValueId images, labels;
  ValueId loss, correct, correct5;                     // loss is a sum for evaluation, a mean for training
  std::vector<Reported> reported;                      // as in the draft
  std::vector<std::pair<ValueId, ParamId>> gradients;  // in the order in which they become final
  // Where parameters and buffers enter this graph, by ParamId and position: a graph of another
  // precision numbers its values differently. Retired ones do not enter.
  std::vector<ValueId> params, buffers;
  // What a probe's edit named.
  struct Named {
    std::string name;
    ValueId value, gradient;  // kNoValue: the loss does not depend on it
    bool activation;          // its rows are examples
  };
  std::vector<Named> named = {};
  std::vector<ValueId> taught = {};  // as in the draft
  FusedStatistics statistics = {};   // zeros where the draft does not ask for it, or the program is the CPU's
  // What works beside the program, and is kept as long: recordings go by where it lies.
  std::optional<ScalarLog> log = {};
  UpdatePrograms updates = {};  // of its gradients
};

class ProgramCache {
 public:
  // `stream`: of the device that trains and evaluates; without one it is the CPU. What runs at events (probes, statistics,
  // exports) runs on the CPU, on the copies here.
  explicit ProgramCache(std::shared_ptr<DeviceStream> stream = nullptr) : stream_(std::move(stream)) {}
  const std::shared_ptr<DeviceStream>& stream() const { return stream_; }  // null: the CPU
  Device device() const { return stream_ ? stream_->device() : Device::Cpu; }
  // Gives all memory back, that of the parameters too. No trial may be using it.
  void clear() {
    entries_.clear();
    params_.reset();
    feeders_.clear();
    pixels_.clear();
  }
  bool is_empty() const { return !params_ && pixels_.empty(); }
  void forget_recordings() {
    for (const auto& entry : entries_) entry->net.program.forget_recordings();
  }

  // Parameters of a trial that begins, all zero. In the memory of the last trial's if they are the same; otherwise its
  // programs are gone with it.
  ParamStore& begin(const Model& model, const SlotShapes& slots);
  ParamStore& params() { return *params_; }

  // The parameters lose channels (ParamStore::gather), and all programs are gone. params() stays the same object.
  void gather(const Model& model, const ChannelCut& cut);

  // The program of an equal draft, that of an earlier trial with this one's real attributes, or a new one. Stays where it is until the next begin(), gather(), shrink_probes() or done_with().
  CompiledNetwork& compiled(ProgramDraft draft);
  // The present trial has no more use of it: it stays for the next one, unless it holds more than `bytes`.
  void done_with(const CompiledNetwork& net, std::size_t bytes);
  void shrink_probes(std::size_t bytes);  // lets go of probes' programs that hold more than that
  // Bytes of a data set on the device, which the next trial will want again: the last two of them stay.
  void keep(const std::shared_ptr<const DevicePixels>& pixels);
  BatchFeeder& feeder(Split split) { return feeders_[split]; }
  std::int64_t reused() const { return reused_; }  // programs that were not compiled again

 private:
  struct Entry {
    ProgramDraft draft;
    CompiledNetwork net;
    bool used = true;  // by the present trial
  };
  std::shared_ptr<DeviceStream> stream_;
  std::vector<std::shared_ptr<const DevicePixels>> pixels_;
  std::map<Split, BatchFeeder> feeders_;
  std::optional<ParamStore> params_;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::int64_t reused_ = 0;
};

}  // namespace winnow
