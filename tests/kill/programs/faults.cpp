// Lets each system call of a commit fail, one after the other, and checks that the store is then as it was: faults FOLDER
// To be run with interpose.so preloaded.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <string>

#include <dlfcn.h>

#include "versions.hpp"

using namespace cotenant;
using namespace kill_test;

namespace {
using Arm = void (*)(const char*, long, bool, int);
using Disarm = long (*)();

struct Fault {
  const char* call;
  int error;
  bool persistent;
  // Whether a commit may go on without it: a lock that is not marked, a second name for the old manifest.
  bool bearable;
};
constexpr Fault faults[] = {
    {"write", ENOSPC, true, false}, {"write", ENOSPC, false, false}, {"short write", ENOSPC, true, false}, {"write", EDQUOT, true, false},
    {"fsync", EIO, true, false},    {"fsync", EIO, false, false},    {"fsync", ENOSPC, false, false},      {"rename", EIO, false, false},
    {"rename", EIO, true, false},   {"close", EIO, false, true},     {"close", ENOSPC, true, true},        {"open", EMFILE, true, true},
    {"open", EMFILE, false, true},  {"flock", ENOLCK, true, false},  {"link", EPERM, true, true},          {"pwrite", ENOSPC, true, true}};

// One step that changes the store, and what it holds afterwards.
struct Step {
  const char* name;
  std::function<void(TensorStore&)> run;
  std::function<void(State&)> expect;
};

std::ptrdiff_t open_descriptors() { return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}); }
}  // namespace

int main(int argc, char** argv) {
  const auto arm = reinterpret_cast<Arm>(::dlsym(RTLD_DEFAULT, "interpose_arm"));
  const auto disarm = reinterpret_cast<Disarm>(::dlsym(RTLD_DEFAULT, "interpose_disarm"));
  if (argc < 2 || arm == nullptr || disarm == nullptr) {
    std::fprintf(stderr, "usage: LD_PRELOAD=interpose.so faults FOLDER\n");
    return 2;
  }
  const Step steps[] = {
      {"first save", [](TensorStore& store) { store.save("a", make("a", 1)); }, [](State& state) { state = {{"a", 1}}; }},
      {"batch",
       [](TensorStore& store) {
         for (const char* name : {"a", "b", "c", "d"}) store.put(name, make(name, 5));
         store.synchronize();
       },
       [](State& state) { state = {{"a", 5}, {"b", 5}, {"c", 5}, {"d", 5}}; }},
      {"replacement", [](TensorStore& store) { store.save("b", make("b", 3)); }, [](State& state) { state["b"] = 3; }},
      {"removal", [](TensorStore& store) { store.remove("c"); }, [](State& state) { state.erase("c"); }},
      {"compaction",
       [](TensorStore& store) {
         if (store.compact(0).files != 1) std::abort();  // or it would test nothing
       },
       [](State&) {}},
  };
  std::size_t refused = 0, borne = 0;
  const std::ptrdiff_t descriptors = open_descriptors();
  for (const Fault& fault : faults) {
    const std::filesystem::path folder = std::filesystem::path(argv[1]) / "store";
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    State state;
    std::size_t of_this = 0;
    for (const Step& step : steps) {
      State after = state;
      step.expect(after);
      bool finished = false;
      for (long good = 0; !finished; ++good) {
        const auto fail = [&](const std::string& problem) {
          disarm();
          std::fprintf(stderr, "FAILED: %s with %s failing (error %d%s) after %ld good calls: %s\n", step.name, fault.call, fault.error,
                       fault.persistent ? ", for good" : "", good, problem.c_str());
          std::exit(1);
        };
        TensorStore store(folder);
        std::string raised;
        arm(fault.call, good, fault.persistent, fault.error);
        try {
          step.run(store);
        } catch (const Error& error) {
          raised = error.what();
          if (error.code() != ErrorCode::io) fail("it is not an IoError: " + raised);
        } catch (const std::exception& error) {
          fail(std::string("it is not one of cotenant's errors: ") + error.what());
        }
        const long fired = disarm();
        if (raised.empty() && fired != 0 && !fault.bearable) fail("nothing was raised");
        if (!raised.empty() && fired == 0) fail("raised for nothing: " + raised);
        if (!raised.empty() && raised.find(folder.string()) == std::string::npos) fail("the error does not say where: " + raised);
        const State& expected = raised.empty() ? after : state;
        // In the store that met the fault, and in one that is opened afterwards.
        TensorStore other(folder);
        try {
          for (TensorStore* one : {&store, &other})
            if (const std::string problem = difference(*one, expected); !problem.empty()) fail(problem + (raised.empty() ? "" : " (raised: " + raised + ")"));
          if (const std::string problem = leftover(folder, other); !problem.empty()) fail(problem + " (raised: " + raised + ")");
        } catch (const std::exception& error) {
          fail(error.what());
        }
        if (!raised.empty()) ++refused;
        else if (fired != 0) ++borne;
        of_this += fired != 0;
        // Where the fault was borne the step is done: start the next attempt from the state before it.
        if (fired == 0) finished = true;
        else if (raised.empty()) {
          std::filesystem::remove_all(folder);
          std::filesystem::create_directories(folder);
          TensorStore again(folder);
          for (const Step* before = steps; before != &step; ++before) before->run(again);
        }
      }
      state = after;
    }
    if (of_this == 0) {
      std::fprintf(stderr, "FAILED: no commit ever calls %s: this fault tests nothing\n", fault.call);
      return 1;
    }
  }
  if (open_descriptors() != descriptors) {
    std::fprintf(stderr, "FAILED: %td descriptors were open before, %td are now\n", descriptors, open_descriptors());
    return 1;
  }
  std::printf("%zu faults of %zu kinds: %zu refused with an IoError and the store as it was, %zu borne; no file or descriptor left behind\n", refused + borne,
              std::size(faults), refused, borne);
  return 0;
}
