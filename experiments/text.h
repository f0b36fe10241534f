// Numbers and lines for people: counts, bytes, durations, widths on a screen. Pure functions.
#pragma once

#include <cstddef>
#include <string>

namespace winnow {

std::string count_text(double count);         // 1234567 -> "1.23 M"
std::string bytes_text(double bytes);         // "1.5 MiB"
std::string duration_text(double seconds);    // "3 h 05 min"
std::string short_time_text(double seconds);  // "6.05 µs", "7.6 ms", "1.2 s"

std::size_t display_width(const std::string& utf8);               // in columns of a terminal
std::string clipped(const std::string& utf8, std::size_t width);  // ends in "..." if something is cut off
std::string bar(double share, std::size_t width);                 // "[####....]", `width` with its ends
std::string counted(std::size_t count, const std::string& what);  // "1 trial", "2 trials"
std::string shell_quoted(const std::string& argument);            // as a shell reads it back

}  // namespace winnow
