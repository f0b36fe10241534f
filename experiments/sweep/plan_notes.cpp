#include "experiments/sweep/plan_notes.h"

namespace winnow {

void PlanNotes::add(const std::string& about, const std::string& key, const Place& place, const std::string& text,
                    std::size_t configuration) {
  Note& note = notes_[{place.source, place.line, place.column, key, about}];
  if (note.configurations == 0) {
    note.place = place;
    note.text = text;
  } else if (note.last == configuration) {
    return;  // one configuration, for several reasons
  }
  note.last = configuration;
  ++note.configurations;
}

std::vector<std::string> PlanNotes::lines(const Diagnostics& problems, std::size_t configurations) const {
  std::vector<std::string> lines;
  for (const auto& [id, note] : notes_) {
    const std::string where = note.place.source < 0 ? "" : problems.where(note.place) + ": ";
    const std::string share = note.configurations == configurations
                                  ? ""
                                  : fmt::format(" ({} of {} configurations)", note.configurations, configurations);
    lines.push_back(fmt::format("{}'{}' {}{}", where, std::get<3>(id), note.text, share));
  }
  return lines;
}

}  // namespace winnow
