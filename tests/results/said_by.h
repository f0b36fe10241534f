// What a verb says where nothing is wrong.
#pragma once

#include <gtest/gtest.h>

#include <span>
#include <sstream>
#include <string>
#include <vector>

namespace winnow::test {

inline std::string said_by(int (*verb)(std::span<const std::string>, std::ostream&, std::ostream&),
                           const std::vector<std::string>& args) {
  std::ostringstream text, errors;
  EXPECT_EQ(verb(args, text, errors), 0) << errors.str();
  return text.str();
}

}  // namespace winnow::test
