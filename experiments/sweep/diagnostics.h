// Places in sweep files and the problems found there. All problems of a sweep are collected, shown
// with their source line, and thrown together: a user mends a file once, not once per mistake. One
// Diagnostics belongs to one reading of a sweep; not shared between threads.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "core/error.h"

namespace winnow {

struct Place {
  int source = -1;           // as returned by Diagnostics::add_file and add_argument
  int line = 0, column = 0;  // from 1
  int width = 1;             // characters to underline
};

// The rendered list of problems; unlike other errors its text has many lines.
class SweepError : public Error {
 public:
  explicit SweepError(const std::string& text) : Error(ErrorKind::Settings, text) {}
};

class Diagnostics {
 public:
  int add_file(std::string path, const std::string& text);
  int add_argument(std::string text);  // "--set train.lr=x": has a text but no lines

  // `hint` is a line of its own below the source line. The same problem at the same place is kept once.
  void error(const Place& place, std::string text, std::string hint = {});
  bool any() const { return !problems_.empty(); }
  void throw_if_any() const;  // SweepError

  std::string where(const Place& place) const;  // "survey.yaml:33"
  // Every file that was read, each after a comment with its name, or without those.
  std::string files_text(bool named = true) const;

 private:
  struct Source {
    std::string label;
    std::vector<std::string> lines;  // none for an argument
  };
  struct Problem {
    Place place;
    std::string text, hint;
  };
  std::string render(const Problem& problem) const;

  std::vector<Source> sources_;
  std::vector<Problem> problems_;
  std::set<std::tuple<int, int, int, std::string>> seen_;
};

}  // namespace winnow
