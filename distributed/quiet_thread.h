// Threads beside the one that trains, to which all signals are left: a handler's memory is that thread's own, and a call that a
// signal cuts short here would be an error.
#pragma once

#include <functional>
#include <thread>

namespace winnow {

// Takes no signals as long as it lives.
std::thread start_quiet_thread(std::function<void()> work);

}  // namespace winnow
