// Pictures of a report, drawn by tools/plot.py (Python with Matplotlib), which is installed beside the program.
#pragma once

#include <filesystem>
#include <string>

namespace winnow {

// Error{Usage} unless it is a kind of file that can be drawn, by its name.
void check_picture(const std::filesystem::path& picture);
// `report`: what `winnow report --json` prints. Error{Unavailable} if plot.py or what it needs is not there, Error{Input}
// if it cannot draw this report; it says why on standard error.
void draw_plot(const std::string& report, const std::filesystem::path& picture);

}  // namespace winnow
