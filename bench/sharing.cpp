// Measures what sharing costs: copying a handle, leasing by name and by handle, beside the standard library's own means.
// Usage: sharing [rounds]
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "cotenant/share/manager.hpp"

namespace ct = cotenant;

namespace {

// Hides a value from the optimizer, so that a copy is made and destroyed.
template <class T> void keep(T& value) { asm volatile("" : : "r"(&value) : "memory"); }

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Case {
  const char* name;
  std::function<void(std::size_t)> run;  // that many operations
  std::vector<double> nanoseconds = {};
};

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 31;
  constexpr std::size_t operations = 100000;

  ct::TensorSharingManager manager;
  // A manager with the tensors of a real checkpoint: about a hundred names, five models.
  const std::vector<std::string> models{"encoder", "search", "zero-shot", "half-width", "compact"};
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i) names.push_back("encoder.layer." + std::to_string(i / 16) + ".attention.self.weight." + std::to_string(i));
  for (const std::string& name : names) {
    manager.register_tensor(name, ct::zeros<float>({16}), {.pinned = true});
    for (const std::string& model : models) manager.get<float>(name, model).release();
  }
  manager.register_tensor("text_embedding", ct::zeros<float>({1, 384}), {.producer = "encoder"});
  const ct::Lease held = manager.get<float>("text_embedding", "search");

  const ct::SharedTensor<float> tensor = *held;
  const auto pointer = std::make_shared<const std::vector<float>>(384);
  // The simplest peer: a map of shared pointers under one mutex. It counts nothing per model.
  std::mutex mutex;
  std::unordered_map<std::string, std::shared_ptr<const std::vector<float>>> map;
  for (const std::string& name : names) map.emplace(name, pointer);
  map.emplace("text_embedding", pointer);

  // The same work on two threads for one tensor (contended) and on two threads for two pairs.
  const auto on_two_threads = [](auto work) {
    std::thread other([&] { work(1); });
    work(0);
    other.join();
  };

  std::vector<Case> cases;
  std::atomic<bool> flag{false};
  cases.push_back({"atomic exchange (the bound: get + release take three)", [&](std::size_t count) {
                     for (std::size_t i = 0; i < count; ++i) flag.exchange(true, std::memory_order_acquire);
                   }});
  cases.push_back({"std::shared_ptr: copy", [&](std::size_t count) {
                     for (std::size_t i = 0; i < count; ++i) {
                       auto copy = pointer;
                       keep(copy);
                     }
                   }});
  cases.push_back({"SharedTensor: copy", [&](std::size_t count) {
                     for (std::size_t i = 0; i < count; ++i) {
                       auto copy = tensor;
                       keep(copy);
                     }
                   }});
  cases.push_back({"SharedTensor: slice", [&](std::size_t count) {
                     for (std::size_t i = 0; i < count; ++i) {
                       auto view = tensor.slice(1, 0, 192);
                       keep(view);
                     }
                   }});
  cases.push_back({"map of std::shared_ptr under a mutex: look up, drop", [&](std::size_t count) {
                     const std::string name = "text_embedding";
                     for (std::size_t i = 0; i < count; ++i) {
                       std::shared_ptr<const std::vector<float>> found;
                       {
                         const std::lock_guard lock(mutex);
                         found = map.find(name)->second;
                       }
                       keep(found);
                     }
                   }});
  cases.push_back({"manager: get by name, release", [&](std::size_t count) {
                     for (std::size_t i = 0; i < count; ++i) {
                       auto lease = manager.get<float>("text_embedding", "search");
                       keep(lease);
                     }
                   }});
  cases.push_back({"manager: get by name over 100 tensors, release", [&](std::size_t count) {
                     for (std::size_t i = 0; i < count; ++i) {
                       auto lease = manager.get<float>(names[i % names.size()], models[i % models.size()]);
                       keep(lease);
                     }
                   }});
  cases.push_back({"lease: again by handle, release", [&](std::size_t count) {
                     for (std::size_t i = 0; i < count; ++i) {
                       auto lease = held.again();
                       keep(lease);
                     }
                   }});
  cases.push_back({"manager: get, release; 2 threads, one pair", [&](std::size_t count) {
                     on_two_threads([&](int) {
                       for (std::size_t i = 0; i < count / 2; ++i) {
                         auto lease = manager.get<float>("text_embedding", "search");
                         keep(lease);
                       }
                     });
                   }});
  cases.push_back({"manager: get, release; 2 threads, two pairs", [&](std::size_t count) {
                     on_two_threads([&](int thread) {
                       for (std::size_t i = 0; i < count / 2; ++i) {
                         auto lease = manager.get<float>("text_embedding", thread ? "search" : "compact");
                         keep(lease);
                       }
                     });
                   }});

  // Interleaved, so that whatever else the machine does meets every case alike.
  for (int round = 0; round < rounds + 1; ++round)
    for (Case& one : cases) {
      const double start = seconds();
      one.run(operations);
      if (round > 0) one.nanoseconds.push_back((seconds() - start) * 1e9 / static_cast<double>(operations));  // the first warms up
    }
  std::printf("medians of %d interleaved rounds of %zu operations, %u cores; on 2 threads: wall time per operation of both\n\n", rounds, operations, std::thread::hardware_concurrency());
  for (Case& one : cases) {
    const double best = *std::min_element(one.nanoseconds.begin(), one.nanoseconds.end());
    std::printf("  %-54s %7.1f ns   (best %.1f)\n", one.name, median(std::move(one.nanoseconds)), best);
  }
}
