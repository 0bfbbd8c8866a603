// Ends in several ways with work and tensors on a GPU that nobody waited for; what objects may do that are destroyed then.
// The exit code is 0 where all went as said.
#include <sys/wait.h>
#include <unistd.h>

#include <cotenant/cotenant.hpp>
#include <cotenant/vulkan.hpp>

#include <cstdlib>
#include <cstring>
#include <thread>

namespace ct = cotenant;

namespace {
// Computes when it is destroyed: with success, or with the error that says why not.
struct ComputesLast {
  ct::SharedTensor<float, ct::Vulkan> tensor;
  ct::SharedTensor<float> pending;
  bool works;
  explicit ComputesLast(bool late) : works(late) {}
  void hold(const ct::Vulkan& gpu) {
    tensor = ct::full<float>({1000}, 3.f).copy_to(gpu);
    pending = ct::map([](auto x) { return x + 1.f; }, tensor).copy_to<ct::Heap>();
  }
  ~ComputesLast() {
    if (!tensor) return;
    bool worked = false;
    try {
      const auto result = ct::map([](auto x) { return 2.f * x; }, tensor).copy_to<ct::Heap>();
      worked = result.view()(999) == 6.f;
    } catch (const ct::DeviceLost&) {
    }
    if (worked != works || pending.view()(0) != 4.f) _exit(2);
  }
};
ComputesLast early{false};

int in_child() {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    std::exit(0);
  }
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}
}  // namespace

int main(int, char** arguments) {
  const auto is = [&](const char* how) { return std::strcmp(arguments[1], how) == 0; };
  // The layer's tables are gone before a thread that goes on.
  const bool validation = std::getenv("COTENANT_TEST_VULKAN") == nullptr && !is("thread");
  const auto gpu = ct::Vulkan::open({.validation = validation, .zero_copy = false, .cache_folder = "-"});
  auto busy = ct::full<float>({1 << 16}, 1.f).copy_to(gpu);
  ct::map([](auto x) { return x + 0.f; }, busy).copy_to<ct::Heap>().view();
  static ComputesLast late{true};
  for (int i = 0; i < 30; ++i) busy = ct::map([](auto x) { return x + 1.f; }, busy);
  if (is("static")) early.hold(gpu), late.hold(gpu);
  if (is("fork")) return in_child();
  if (is("thread")) {
    std::thread([gpu] {
      const auto ones = ct::full<float>({1 << 16}, 1.f);
      for (;;) ct::map([](auto x) { return x + 1.f; }, ones.copy_to(gpu)).copy_to<ct::Heap>().view();
    }).detach();
    usleep(50000);
  }
  static const auto kept = busy;  // goes with work under way
  return 0;
}
