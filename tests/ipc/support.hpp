// What the tests between processes need: child processes, the descriptors and maps of this one, tensors with known values.
#ifndef COTENANT_TESTS_IPC_SUPPORT_HPP
#define COTENANT_TESTS_IPC_SUPPORT_HPP
#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "../files/temporary_folder.hpp"
#include "cotenant/share/tensor.hpp"

namespace ipc_tests {

namespace ct = cotenant;

// 0, 1, 2, … + first.
inline ct::SharedTensor<float> ramp(const ct::Shape& shape, float first = 0) {
  auto tensor = ct::empty<float>(shape);
  float value = first;
  for (float& element : tensor.mutable_view().span()) element = value++;
  return tensor;
}

// Runs f, which returns an exit status, in a process of its own. It must be started before this process has other threads.
class Child {
 public:
  // What both ends may say to each other: single bytes, waited for.
  struct Talk {
    int in = -1, out = -1;
    void say(char word) const { static_cast<void>(!::write(out, &word, 1)); }
    // '\0' where the other end is gone.
    char hear() const {
      char word = 0;
      return ::read(in, &word, 1) == 1 ? word : '\0';
    }
  };

  template <class F> explicit Child(const F& f) {
    int down[2] = {-1, -1}, up[2] = {-1, -1};
    REQUIRE(::pipe(down) == 0);
    REQUIRE(::pipe(up) == 0);
    process_ = ::fork();
    REQUIRE(process_ >= 0);
    if (process_ == 0) {
      ::close(down[1]), ::close(up[0]);
      int status = 99;
      try {
        status = f(Talk{down[0], up[1]});
      } catch (const std::exception& error) {
        std::fprintf(stderr, "child: %s\n", error.what());
      }
      ::_exit(status);
    }
    ::close(down[0]), ::close(up[1]);
    talk_ = {up[0], down[1]};
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (process_ > 0) kill();
    ::close(talk_.in), ::close(talk_.out);
  }

  const Talk& talk() const { return talk_; }
  long process() const { return process_; }
  // The exit status, or minus the signal that ended it.
  int wait() {
    int status = 0;
    while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
    }
    process_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  int kill() {
    ::kill(process_, SIGKILL);
    return wait();
  }

 private:
  ::pid_t process_ = 0;
  Talk talk_;
};

// Waits for what another thread or process brings about; false where it does not.
inline bool becomes_true(const std::function<bool()>& condition) {
  for (int i = 0; i < 10'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

inline std::size_t open_descriptors() {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator()));
}
// Memory maps of this process whose line has `text` in it.
inline std::size_t maps_with(const std::string& text) {
  std::ifstream maps("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);) count += line.find(text) != line.npos;
  return count;
}

}  // namespace ipc_tests

#endif
