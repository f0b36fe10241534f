// Notes of a plan on single settings: one note for all configurations that it concerns, with their
// number. Not shared between threads.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "experiments/sweep/diagnostics.h"

namespace winnow {

class PlanNotes {
 public:
  // Of one configuration, which `configuration` tells from the one before. `about` tells apart what can be said of one
  // setting; the first text is shown. `place` is that of the setting's value; one without a source stands for a default.
  void add(const std::string& about, const std::string& key, const Place& place, const std::string& text,
           std::size_t configuration);
  // "s.yaml:7: 'method.t_begin' TEXT (3 of 12 configurations)".
  std::vector<std::string> lines(const Diagnostics& problems, std::size_t configurations) const;

 private:
  struct Note {
    Place place;
    std::string text;
    std::size_t configurations = 0, last = 0;
  };
  std::map<std::tuple<int, int, int, std::string, std::string>, Note> notes_;  // source, line, column, key, about
};

}  // namespace winnow
