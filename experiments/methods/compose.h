// From the settings of a trial to its method: the one of method.name together with those of
// method.with. Pure but for the objects it makes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/method.h"
#include "core/model.h"
#include "experiments/methods/composite.h"

namespace winnow {

// One of a trial's methods, its settings resolved.
struct MethodPart {
  std::string name;
  Settings settings;
};

// The main method first, then those of `with.<name>` in order of name ("with.<name>" may be "on" or
// "off"). `method`: keys without "method.". Throws Error{Settings} for unknown names and settings.
std::vector<MethodPart> method_parts(const Settings& method);

// Why these methods do not work together by what each says it touches, or nothing. What depends on the network, edit()
// of a method refuses by what it finds there.
std::optional<std::string> cannot_compose(const std::vector<Composite::Part>& parts);

// Throws Error{Settings} with that reason.
std::unique_ptr<Method> make_method(const Settings& method);

// Why the densities that `method` asks for do not exist on this model, or nothing. For plans: opens no data.
std::optional<std::string> check_density(const Model& model, const Settings& method);

}  // namespace winnow
