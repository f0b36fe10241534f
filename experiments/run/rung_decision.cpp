#include "experiments/run/rung_decision.h"

#include "experiments/results/json_number.h"

namespace winnow {

nlohmann::ordered_json fields_of(const RungDecision& decision) {
  nlohmann::ordered_json fields = {{"rung", decision.rung}};
  fields["value"] = number_or_null(decision.value);
  fields["of"] = decision.of;
  if (decision.place) fields["place"] = *decision.place;
  if (decision.median) fields["median"] = *decision.median;
  return fields;
}

RungDecision decision_of(std::size_t trial, bool promoted, const nlohmann::json& fields) {
  RungDecision decision{.trial = trial, .promoted = promoted};
  decision.rung = fields.at("rung");
  decision.value = number_in(fields, "value");
  decision.of = fields.at("of");
  if (fields.contains("place")) decision.place = fields.at("place").get<std::size_t>();
  decision.median = number_in(fields, "median");
  return decision;
}

}  // namespace winnow
