// What the operating system says about this process, and a child process to ask it of.
#ifndef COTENANT_EXAMPLES_MULTI_MODEL_MEASURE_HPP
#define COTENANT_EXAMPLES_MULTI_MODEL_MEASURE_HPP
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
extern char** environ;
#endif

namespace example {

// Bytes of this process that are in memory now; 0 where the system does not say (only Linux does, in /proc).
struct Resident {
  std::size_t total = 0;
  std::size_t file = 0;  // of these, pages of mapped files: shared with the page cache and with other processes
};
inline Resident resident_memory() {
  Resident resident;
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    std::istringstream words(line);
    std::string key;
    std::size_t kibibytes = 0;
    words >> key >> kibibytes;
    if (key == "VmRSS:") resident.total = kibibytes * 1024;
    if (key == "RssFile:") resident.file = kibibytes * 1024;
  }
  return resident;
}

// Milliseconds that f() takes.
template <class F> double milliseconds(F f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}
inline double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

// As a table shows them; the time is in milliseconds.
inline std::string mebibytes(double bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MiB", bytes / (1 << 20));
  return text;
}
inline std::string time_text(double time) {
  char text[32];
  if (time < 0.1) std::snprintf(text, sizeof text, "%.2f µs", time * 1000);
  else std::snprintf(text, sizeof text, "%.2f ms", time);
  return text;
}

// Numbers by name: what a measured child prints, one "name value" per line.
using Figures = std::map<std::string, double>;

// Runs this program again with the given arguments and reads the figures it prints; empty where that fails.
inline Figures run_child(const std::vector<std::string>& arguments) {
  Figures figures;
#if defined(__linux__)
  int channel[2];
  if (::pipe(channel) != 0) return figures;
  std::string self = "/proc/self/exe";
  std::vector<char*> argv{self.data()};
  std::vector<std::string> copies = arguments;
  for (std::string& argument : copies) argv.push_back(argument.data());
  argv.push_back(nullptr);
  ::posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, channel[1], 1);
  ::posix_spawn_file_actions_addclose(&actions, channel[0]);
  ::pid_t child = 0;
  const int failed = ::posix_spawn(&child, "/proc/self/exe", &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(channel[1]);
  std::string text;
  char buffer[4096];
  for (::ssize_t count; failed == 0 && (count = ::read(channel[0], buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<std::size_t>(count));
  ::close(channel[0]);
  int status = 0;
  if (failed != 0 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) return figures;
  std::istringstream lines(text);
  std::string name;
  for (double value = 0; lines >> name >> value;) figures[name] = value;
#else
  static_cast<void>(arguments);
#endif
  return figures;
}

}  // namespace example

#endif
