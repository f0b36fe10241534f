// At which steps the methods of a trial act, before it is trained. Opens no file.
#pragma once

#include <span>
#include <string>

#include "core/event_plan.h"
#include "core/method.h"
#include "experiments/trial.h"

namespace winnow {

EventPlan planned_events(const TrialSpec& spec);
// "after updates: every 100 steps from 0 to 700"; kinds of events joined by "; ".
std::string text_of(const EventPlan& plan);
// "train to step 800, prune, fine_tune to step 1000".
std::string text_of(std::span<const Phase> phases);

}  // namespace winnow
