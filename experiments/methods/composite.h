// Several methods as one. Edits and events run in a fixed order: structure, then re-parametrisations, which so find
// the layers that it adds, then the rest, those that remove channels last; by name among equals. So the graph does not
// depend on the order of names in a sweep. Owned by one trial on one rank; not synchronised.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/method.h"

namespace winnow {

class Composite final : public Method {
 public:
  struct Part {
    std::string name;
    std::unique_ptr<Method> method;
  };
  explicit Composite(std::vector<Part> parts);

  Touches touches() const override;
  void take(const Needed& needed) override;
  void edit(GraphEditor& editor) override;
  void schedule(EventPlan& plan, const RunLength& length) const override;
  double rate(ParamId param, std::int64_t step, const RunLength& length) const override;
  Verdict on_event(const Moment& moment, TrainState& state) override;
  void edit_update(UpdateGraph& update) override;
  void forecast(MaskForecast& forecast, const Model& edited, const RunLength& length) const override;
  std::optional<Phase> phase(int index, const RunLength& length) const override;
  std::optional<Encoded> encode(ParamId id, const ParamStore& params) override;
  void save(StateWriter& out) const override;
  void load(StateReader& in) override;
  void report(TrainState& state, Facts& facts) const override;

 private:
  // Steps that only another part asked for are no business of this one.
  bool concerns(std::size_t part, const Moment& moment) const;

  std::vector<Part> parts_;                   // in the order of edits and events
  mutable std::vector<EventPlan> asked_for_;  // by part: what it last said to schedule(), which precedes all steps
};

}  // namespace winnow
