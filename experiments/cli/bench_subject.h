// What `winnow bench` is about: settings of a trial by section, all of them resolved. A plain value.
#pragma once

#include <boost/program_options.hpp>

#include "core/settings.h"

namespace winnow {

struct BenchSubject {
  Settings data, model, method, train;
};

// `winnow bench --dry`: what a training step would queue and move on a GPU, by the planned program. Needs none.
void print_dry(const BenchSubject& subject, bool by_node, bool json, std::ostream& out);

}  // namespace winnow
