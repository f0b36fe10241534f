// What an edit did to a network, found by comparing it before and after. Pure functions of the networks.
#pragma once

#include <string_view>

#include "core/method.h"

namespace winnow {

// `structure`: an activation is added, removed or computed otherwise, or a parameter has another shape.
// `weights_source`: a layer or a normalisation reads something else as its parameters. The others stay false: an edit
// cannot do them.
Touches touched(const Model& before, const Model& after);

// What a method's edits do to `plain`: the above for training, and whether the network of another use is another one.
// Error{Internal} if parameters or buffers are not the same for all uses, since all programs share their memory.
Touches touched_by(Method& method, const Model& plain, const Settings& train);

// Error{Internal} naming `method` and what it did beyond what it says.
void check_touches(const Touches& said, const Touches& done, std::string_view method);

}  // namespace winnow
