// Copies of handles and leases, beside the standard library's own means, which count nothing per model.
#include <atomic>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "cotenant/share/manager.hpp"
#include "rows.hpp"

namespace ct = cotenant;

namespace {
using Vector = std::shared_ptr<const std::vector<float>>;

// The simplest peers: a map of shared pointers under a lock.
template <class Mutex, class Lock> struct Map {
  Mutex mutex;
  std::unordered_map<std::string, Vector> map;
  Vector find(const std::string& name) {
    const Lock lock(mutex);
    return map.find(name)->second;
  }
};

// Seconds per operation, of all threads together: from when all of them are there to when the last has finished.
template <class F> double on_threads(std::size_t threads, std::size_t operations, const F& f) {
  std::atomic<std::size_t> ready{0};
  double begin = 0;
  const auto work = [&](std::size_t thread) {
    ready.fetch_add(1);
    while (ready.load() < threads) continue;
    if (thread == 0) begin = bench_sharing::wall_seconds();
    for (std::size_t i = 0; i < operations; ++i) f(thread);
  };
  std::vector<std::thread> others;
  for (std::size_t thread = 1; thread < threads; ++thread) others.emplace_back(work, thread);
  work(0);
  for (std::thread& other : others) other.join();
  return (bench_sharing::wall_seconds() - begin) / static_cast<double>(operations * threads);
}
}  // namespace

void bench_sharing::handles(const Setting& setting) {
  ct::TensorSharingManager manager;
  // A manager with the tensors of a real checkpoint: about a hundred names, five models.
  const std::vector<std::string> models{"encoder", "search", "zero-shot", "half-width", "compact"};
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i) names.push_back("encoder.layer." + std::to_string(i / 16) + ".attention.self.weight." + std::to_string(i));
  Map<std::mutex, std::lock_guard<std::mutex>> with_mutex;
  Map<std::shared_mutex, std::shared_lock<std::shared_mutex>> with_shared_mutex;
  const auto pointer = std::make_shared<const std::vector<float>>(384);
  const std::string name = "text_embedding", other = "sentence_embeddings";
  for (const std::string& each : names) {
    manager.register_tensor(each, ct::zeros<float>({16}), {.pinned = true});
    for (const std::string& model : models) manager.get<float>(each, model).release();
  }
  for (const std::string& each : {name, other}) manager.register_tensor(each, ct::zeros<float>({1, 384}), {.producer = "encoder"});
  names.push_back(name);
  names.push_back(other);
  for (const std::string& each : names) {
    // Each its own, as tensors are.
    with_mutex.map.emplace(each, std::make_shared<const std::vector<float>>(384));
    with_shared_mutex.map.emplace(each, std::make_shared<const std::vector<float>>(384));
  }
  const ct::Lease held = manager.get<float>(name, "search");
  const ct::SharedTensor<float> tensor = *held;

  const auto row = [](std::string shape) { return Row{"handles", std::move(shape)}; };
  Row copy = row("copy of a handle");
  copy.target_ratio = 1 / 1.2;
  copy.target_peers = {"std::shared_ptr"};
  measure(copy, setting, {many("cotenant", [&](std::size_t) { auto one = tensor; keep(one); }), many("std::shared_ptr", [&](std::size_t) { auto one = pointer; keep(one); })});
  measure(row("half of a tensor as a view"), setting, {many("cotenant", [&](std::size_t) { auto view = tensor.slice(1, 0, 192); keep(view); })});
  Row again = row("lease by handle, release");
  again.limit = 30e-9;
  measure(again, setting, {many("cotenant", [&](std::size_t) { auto lease = held.again(); keep(lease); })});
  const std::string mutex_name = "mutex + unordered_map + shared_ptr", shared_name = "shared_mutex + …";
  Row by_name = row("get by name, release");
  by_name.limit = 60e-9;
  measure(by_name, setting,
          {many("cotenant", [&](std::size_t) { auto lease = manager.get<float>(name, "search"); keep(lease); }),
           many(mutex_name, [&](std::size_t) { auto one = with_mutex.find(name); keep(one); }),
           many(shared_name, [&](std::size_t) { auto one = with_shared_mutex.find(name); keep(one); })});
  const std::size_t weights = names.size() - 2;
  measure(row("get over 100 names of 5 models, release"), setting,
          {many("cotenant", [&](std::size_t i) { auto lease = manager.get<float>(names[i % weights], models[i % models.size()]); keep(lease); }),
           many(mutex_name, [&](std::size_t i) { auto one = with_mutex.find(names[i % weights]); keep(one); }),
           many(shared_name, [&](std::size_t i) { auto one = with_shared_mutex.find(names[i % weights]); keep(one); })});

  if (std::thread::hardware_concurrency() < 2) return;
  // 10 ms and more each, because threads take their time to start.
  constexpr std::size_t operations = 200'000;
  const auto lease = [&](std::size_t thread) {
    auto one = manager.get<float>(thread == 0 ? name : other, thread == 0 ? "search" : "compact");
    keep(one);
  };
  const auto look_up = [&](auto& map) {
    return [&](std::size_t thread) {
      auto one = map.find(thread == 0 ? name : other);
      keep(one);
    };
  };
  Row two = row("get, release on different tensors");
  two.threads = 2;
  two.target_ratio = 1.8;
  two.target_peers = {"cotenant, 1 thread"};
  two.note = "per operation of both";
  measure(two, setting,
          {{"cotenant", [&] { return on_threads(2, operations, lease); }},
           {"cotenant, 1 thread", [&] { return on_threads(1, operations, lease); }},
           {mutex_name, [&] { return on_threads(2, operations, look_up(with_mutex)); }},
           {shared_name, [&] { return on_threads(2, operations, look_up(with_shared_mutex)); }}});
  Row one_pair = row("get, release of one tensor by one model");
  one_pair.threads = 2;
  one_pair.note = "per operation of both";
  const auto same = [&](std::size_t) {
    auto one = manager.get<float>(name, "search");
    keep(one);
  };
  const auto look_up_same = [&](auto& map) {
    return [&](std::size_t) {
      auto one = map.find(name);
      keep(one);
    };
  };
  measure(one_pair, setting,
          {{"cotenant", [&] { return on_threads(2, operations, same); }},
           {mutex_name, [&] { return on_threads(2, operations, look_up_same(with_mutex)); }},
           {shared_name, [&] { return on_threads(2, operations, look_up_same(with_shared_mutex)); }}});
}
