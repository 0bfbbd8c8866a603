// Artefacts kept with a block: made once, counted, freed with it, and somebody may hear of them.
#include "cotenant/share/derived.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <span>
#include <thread>
#include <vector>

#include "cotenant/share/derive.hpp"
#include "cotenant/share/manager.hpp"

namespace ct = cotenant;

namespace {
struct Artefact final : ct::Derived {
  explicit Artefact(std::size_t size, std::atomic<int>* alive = nullptr) : size_(size), alive_(alive) { if (alive_) ++*alive_; }
  ~Artefact() { if (alive_) --*alive_; }
  std::size_t bytes() const noexcept override { return size_; }
  std::size_t size_;
  std::atomic<int>* alive_;
};
const char maker = 0, other_maker = 0;
}  // namespace

TEST_CASE("an artefact is made once, found by its key and freed with the block") {
  std::atomic<int> alive{0};
  int made = 0;
  {
    ct::SharedTensor<float> tensor = ct::zeros<float>({4, 8});
    tensor.block()->publish();
    CHECK(tensor.block()->derived_if_any() == nullptr);
    const float* data = tensor.view().data();
    const ct::DerivedKey key{&maker, data, 4, 8, 8, 1};
    const auto make = [&](ct::DerivedRoom&) {
      ++made;
      return ct::make_ref<Artefact>(100, &alive);
    };
    CHECK(tensor.block()->derived().find(key) == nullptr);
    const auto first = tensor.block()->derived().find_or_make(key, make);
    CHECK(tensor.block()->derived().find_or_make(key, make) == first);
    CHECK(tensor.block()->derived().find(key) == first);
    CHECK(made == 1);
    // Each part of the key tells artefacts apart.
    for (const ct::DerivedKey& different : {ct::DerivedKey{&other_maker, data, 4, 8, 8, 1}, ct::DerivedKey{&maker, data + 1, 4, 8, 8, 1}, ct::DerivedKey{&maker, data, 8, 4, 8, 1},
                                            ct::DerivedKey{&maker, data, 4, 8, 1, 8}})
      CHECK(tensor.block()->derived().find(different) == nullptr);
    tensor.block()->derived().find_or_make({&maker, data + 16, 2, 8, 8, 1}, make);
    CHECK(tensor.block()->derived().bytes() == 200);
    CHECK(tensor.block()->derived().bytes(data, data + 16) == 100);
    CHECK(tensor.block()->derived_if_any()->bytes() == 200);
    CHECK(alive == 2);
  }
  CHECK(alive == 0);
}

TEST_CASE("an artefact whose making fails is tried again") {
  ct::SharedTensor<float> tensor = ct::zeros<float>({4});
  tensor.block()->publish();
  ct::DerivedSet& set = tensor.block()->derived();
  const ct::DerivedKey key{&maker, tensor.view().data(), 4, 1, 1, 1};
  CHECK_THROWS_AS(set.find_or_make(key, [](ct::DerivedRoom&) -> ct::Ref<const ct::Derived> { ct::raise<ct::OutOfMemory>("none left"); }), ct::OutOfMemory);
  CHECK(set.find(key) == nullptr);
  CHECK(set.bytes() == 0);
  CHECK(set.find_or_make(key, [](ct::DerivedRoom&) { return ct::make_ref<Artefact>(7); })->bytes() == 7);
}

TEST_CASE("threads that ask for one artefact get one") {
  std::atomic<int> made{0}, alive{0};  // outlives the artefacts, which count down when they go
  ct::SharedTensor<float> tensor = ct::zeros<float>({64});
  tensor.block()->publish();
  const float* data = tensor.view().data();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (std::size_t i = 0; i < 50; ++i)
        tensor.block()->derived().find_or_make({&maker, data + i % 10, 1, 1, 1, 1}, [&](ct::DerivedRoom&) {
          ++made;
          return ct::make_ref<Artefact>(1, &alive);
        });
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(made == 10);
  CHECK(alive == 10);
  CHECK(tensor.block()->derived().bytes() == 10);
}

TEST_CASE("what artefacts replace is counted once, and as long as they are kept") {
  struct Part final : ct::Derived {
    explicit Part(std::span<const std::byte> pages) { replaces(pages); }
    std::size_t bytes() const noexcept override { return 150; }
  };
  std::vector<std::byte> memory(1000);
  ct::DerivedSet set;
  const auto make = [&](std::size_t key, std::size_t first, std::size_t count) {
    const auto pages = std::span<const std::byte>(memory).subspan(first, count);
    static_cast<void>(set.find_or_make({&memory, memory.data(), key}, [&](ct::DerivedRoom&) { return ct::make_ref<const Part>(pages); }));
  };
  make(1, 100, 100);
  CHECK(set.replaced_bytes() == 100);
  make(2, 100, 100);  // the same elements for another kernel
  make(3, 150, 200);  // more of them
  make(4, 500, 10);
  make(5, 0, 0);
  CHECK(set.replaced_bytes() == 250 + 10);
  std::vector<ct::Ref<const ct::Derived>> unused;
  CHECK(set.take_unused(unused, false) == 4 * 150);  // all but the third, which replaces more than it takes
  CHECK(set.replaced_bytes() == 200);
  CHECK(set.take_unused(unused) == 150);
  CHECK(set.replaced_bytes() == 0);
}

TEST_CASE("the statistics count artefacts beside the tensors they belong to") {
  ct::TensorSharingManager manager;
  const auto weight = manager.register_tensor("weight", ct::zeros<float>({4, 8}));
  manager.register_tensor("other", ct::zeros<float>({4}));
  weight.block()->derived().find_or_make({&maker, weight.view().data(), 4, 8, 8, 1}, [](ct::DerivedRoom&) { return ct::make_ref<Artefact>(640); });
  const ct::SharingStats stats = manager.stats();
  CHECK(stats.derived_bytes == 640);
  CHECK(stats.tensors.at("weight").derived_bytes == 640);
  CHECK(stats.tensors.at("other").derived_bytes == 0);
  CHECK(manager.report().find("derived   640 B") != std::string::npos);
}

TEST_CASE("whoever observes a block hears of its artefacts: what, how large, outside of every lock") {
  struct Heard {
    std::vector<ct::Event> events;
  } heard;
  ct::TensorSharingManager manager{{.on_event = [&](const ct::Event& event) { heard.events.push_back(event); }}};
  manager.register_tensor("w", ct::full<float>({16}, 1.0f));
  const auto lease = manager.get<float>("w", "m");
  struct Twice;
  const auto twice = [&] { return ct::derive<Twice>(*lease, [] { return ct::full<float>({64}, 2.0f); }); };
  CHECK(twice().view()(3) == 2.0f);
  CHECK(twice().view()(3) == 2.0f);
  std::size_t derived = 0;
  for (const ct::Event& event : heard.events) {
    if (event.kind != ct::EventKind::derive) continue;
    ++derived;
    CHECK(event.tensor == "w");
    CHECK(event.bytes == 256);
  }
  CHECK(derived == 1);
  CHECK(manager.event_counts()[ct::EventKind::derive] == 1);
}
