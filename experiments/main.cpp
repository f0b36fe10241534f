#include <iostream>
#include <string>
#include <vector>

#include "experiments/cli/verbs.h"

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  return winnow::run_command_line(args, std::cout, std::cerr);
}
