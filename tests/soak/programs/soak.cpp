// The manager against a model of itself that is too simple to be wrong, and under many threads at once.
// Usage: soak [--quick] [--operations N] [--seconds S] [--seed N]
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cotenant/share/manager.hpp"
#include "memory_spill.hpp"

namespace ct = cotenant;

namespace {

constexpr std::size_t page = 4096;

// The same sequence on every platform (Knuth's MMIX multiplier).
struct Random {
  std::uint64_t state;
  std::size_t below(std::size_t bound) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::size_t>(state >> 33) % bound;
  }
};

[[noreturn]] void fail(const std::string& what, std::size_t operation) {
  std::printf("FAILED at operation %zu: %s\n", operation, what.c_str());
  std::exit(1);
}

ct::SharedTensor<float> filled(float value, std::size_t pages) { return ct::full<float>({pages * page / sizeof(float)}, value); }

// ---- One thread against the model ----

// One version of one tensor, as the model knows it.
struct Version {
  float value = 0;
  std::size_t pages = 0, number = 1;
  std::size_t objects = 0;             // Lease objects, those that were ended by name included
  std::size_t handles = 0;             // tensors outside of the manager
  std::size_t form_objects = 0;        // Lease objects on its bf16 form, which has bytes of its own
  std::size_t form_bytes() const { return ct::HeapCache::padded(pages * page / 2); }
  std::map<std::string, bool> hold;    // producers' leases without an object
  bool used() const {
    if (objects > 0 || handles > 0) return true;
    for (const auto& [model, held] : hold) if (held) return true;
    return false;
  }
};
struct Held {
  ct::Lease<float> lease;
  std::string name, model;
  std::shared_ptr<Version> version;
  bool linked = true;
};
struct HeldForm {
  ct::Lease<ct::bf16> lease;
  std::string name, model;
  std::shared_ptr<Version> version;
  bool linked = true;
};
struct Handle {
  ct::SharedTensor<float> tensor;
  std::shared_ptr<Version> version;
};

class Oracle {
 public:
  explicit Oracle(std::uint64_t seed) : random_{seed} {}

  void run(std::size_t operations) {
    for (at_ = 0; at_ < operations; ++at_) {
      step();
      if (at_ % 64 == 0) compare();
      if (held_.size() > 12) drop(random_.below(held_.size()));
      if (handles_.size() > 3) drop_handle();
      if (forms_.size() > 4) drop_form(random_.below(forms_.size()));
    }
    compare();
    const auto stats = manager_.stats();
    std::printf("oracle: %zu operations agree; %zu evictions, %zu reloads, %zu refused, %zu writes (%zu in place), %zu forms, peak %zu of %zu bytes\n",
                operations, stats.evictions, stats.reloads, refused_, writes_, in_place_, formed_, stats.peak_bytes, budget);
    while (!held_.empty()) drop(0);
    while (!handles_.empty()) drop_handle();
    while (!forms_.empty()) drop_form(0);
    for (int model = 0; model < models; ++model) manager_.release_model("m" + std::to_string(model));
    for (const auto& [name, version] : tensors_) {
      manager_.unpin(name);
      if (manager_.get<float>(name, "last")->view()(0) != version->value) fail(name + " was lost", at_);
      manager_.release_model("last");
      if (!manager_.forget(name)) fail(name + " cannot be forgotten", at_);
    }
    manager_.optimize_memory();
    if (manager_.stats().true_bytes != 0 || manager_.stats().total_tensors != 0 || spill_->count() != 0 || spill_->wrong != 0) fail("something is left", at_);
  }

 private:
  static constexpr std::size_t budget = 16 * page;
  static constexpr int models = 4;

  void expect(bool right, const std::string& what) {
    if (!right) fail(what, at_);
  }
  // What cannot leave memory.
  std::size_t kept(const Version* besides = nullptr) const {
    std::size_t total = 0;
    for (const auto& [name, version] : tensors_)
      if (version.get() != besides && (version->used() || pinned_.at(name))) total += version->pages * page;
    for (const auto& version : past_) if (version->objects > 0) total += version->pages * page;
    std::set<const Version*> seen;
    for (const HeldForm& form : forms_) if (seen.insert(form.version.get()).second) total += form.version->form_bytes();
    return total;
  }
  bool fits(const Version& version, std::size_t more = 0) const { return kept(&version) + version.pages * page + more <= budget; }
  // Runs f, which needs room; whether it got it must be what the model says.
  template <class F> bool allowed(bool expected, const char* what, const F& f) {
    bool got = true;
    try {
      f();
    } catch (const ct::BudgetExceeded& error) {
      got = false;
      ++refused_;
      if (expected) fail(std::string(what) + ": " + error.what(), at_);
    }
    expect(got == expected, std::string(what) + " was admitted beyond the budget");
    return got;
  }
  void forget_unused_versions() {
    std::erase_if(past_, [](const auto& version) { return version->objects == 0; });
  }
  std::size_t count(const Version* version, const std::string& model) const {
    std::size_t total = version->hold.count(model) && version->hold.at(model) ? 1 : 0;
    for (const Held& held : held_) total += held.version.get() == version && held.model == model && held.linked;
    return total;
  }
  bool end_one(Version* version, const std::string& model) {
    if (version->hold.count(model) && version->hold.at(model)) {
      version->hold[model] = false;
      return true;
    }
    for (Held& held : held_)  // in the order they were made
      if (held.version.get() == version && held.model == model && held.linked) {
        held.linked = false;
        return true;
      }
    return false;
  }
  void drop(std::size_t index) {
    expect(held_[index].lease.held() == held_[index].linked, "held()");
    held_[index].lease.release();
    --held_[index].version->objects;
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(index));
    forget_unused_versions();
  }
  void drop_form(std::size_t index) {
    expect(forms_[index].lease.held() == forms_[index].linked, "held() of a form");
    forms_[index].lease.release();
    --forms_[index].version->form_objects;
    forms_.erase(forms_.begin() + static_cast<std::ptrdiff_t>(index));
  }
  bool end_one_form(const Version* version, const std::string& name, const std::string& model) {
    for (HeldForm& form : forms_)
      if ((version == nullptr ? tensors_.count(name) == 0 || form.version != tensors_.at(name) : form.version.get() == version) && form.name == name &&
          form.model == model && form.linked) {
        form.linked = false;
        return true;
      }
    return false;
  }
  std::size_t forms_held(const Version* version) const {
    std::size_t total = 0;
    for (const HeldForm& form : forms_) total += form.version.get() == version && form.linked;
    return total;
  }
  void drop_handle() {
    --handles_.front().version->handles;
    handles_.erase(handles_.begin());
  }

  void step() {
    const std::string name = "t" + std::to_string(random_.below(12)), model = "m" + std::to_string(random_.below(models));
    const auto found = tensors_.find(name);
    const std::shared_ptr<Version> version = found == tensors_.end() ? nullptr : found->second;
    switch (random_.below(18)) {
      case 0:
      case 1: {
        const bool produced = random_.below(4) == 0;
        if (!version) {
          auto fresh = std::make_shared<Version>();
          fresh->value = static_cast<float>(++next_value_);
          fresh->pages = 1 + random_.below(4);
          if (!allowed(fits(*fresh), "register", [&] { manager_.register_tensor(name, filled(fresh->value, fresh->pages), {.producer = produced ? model : ""}); })) break;
          fresh->hold[model] = produced;
          tensors_[name] = fresh;
          pinned_[name] = false;
        } else if (allowed(fits(*version), "register again", [&] {
                     const auto tensor = manager_.register_tensor(name, filled(-1, version->pages), {.producer = produced ? model : ""});
                     expect(tensor.view()(0) == version->value, "another tensor came back");
                   })) {
          if (produced && count(version.get(), model) == 0) version->hold[model] = true;
        }
        break;
      }
      case 2:
      case 3:
      case 4:
      case 5: {
        std::optional<ct::Lease<float>> lease;
        if (!version) {
          expect(!manager_.try_get<float>(name, model).has_value(), "a tensor that was never registered");
          ++misses_;
        } else if (allowed(fits(*version), "get", [&] { lease = manager_.get<float>(name, model); })) {
          ++hits_;
          ++version->objects;
          held_.push_back({std::move(*lease), name, model, version});
        }
        break;
      }
      case 6:
      case 7:
        if (!held_.empty()) drop(random_.below(held_.size()));
        break;
      case 8: {
        bool expected = version && (end_one(version.get(), model) || end_one_form(version.get(), name, model));
        // Then a lease on a past version, or on a form of one: which first does not show here, so there may be only one kind.
        bool past_form = false, past_object = false;
        for (const HeldForm& form : forms_) past_form = past_form || (form.version != version && form.name == name && form.model == model && form.linked);
        for (const Held& held : held_) past_object = past_object || (held.version != version && held.name == name && held.model == model && held.linked);
        if (!expected && past_form && past_object) break;
        if (!expected && past_form) expected = end_one_form(nullptr, name, model);
        for (const auto& old : past_) {
          if (expected) break;
          bool of_name = false;
          for (const Held& held : held_) of_name = of_name || (held.version == old && held.name == name);
          expected = of_name && end_one(old.get(), model);
        }
        expect(manager_.release(name, model) == expected, "release by name");
        break;
      }
      case 9: {
        if (random_.below(4) != 0) break;
        std::size_t expected = 0;
        for (const auto& [key, each] : tensors_) while (end_one(each.get(), model)) ++expected;
        for (const auto& old : past_) while (end_one(old.get(), model)) ++expected;
        for (HeldForm& form : forms_) if (form.model == model && std::exchange(form.linked, false)) ++expected;
        expect(manager_.release_model(model) == expected, "release_model");
        break;
      }
      case 10:
        if (random_.below(3) != 0) {
          expect(manager_.unpin(name) == (version && pinned_[name]), "unpin");
          if (version) pinned_[name] = false;
        } else {
          // A pin keeps what is in memory; it does not bring anything back. So that the model knows, it is leased meanwhile.
          std::optional<ct::Lease<float>> lease;
          if (version && !allowed(fits(*version), "get to pin", [&] { lease = manager_.get<float>(name, "pinner"); })) break;
          hits_ += version ? 1 : 0;
          expect(manager_.pin(name) == static_cast<bool>(version), "pin");
          if (version) pinned_[name] = true;
        }
        break;
      case 11: {
        if (random_.below(3) != 0) break;
        bool leased = false;
        for (int each = 0; version && each < models; ++each) leased = leased || count(version.get(), "m" + std::to_string(each)) > 0;
        const bool expected = version && !pinned_[name] && !leased && forms_held(version.get()) == 0;
        expect(manager_.forget(name) == expected, "forget");
        if (expected) tensors_.erase(name);
        break;
      }
      case 12:
      case 13: {
        if (!version) break;
        const bool alone = version->objects == 0 && version->handles == 0;
        ct::WriteLease<float> write;
        if (!allowed(fits(*version, alone ? 0 : version->pages * page), "write", [&] { write = manager_.write<float>(name, model); })) break;
        ++writes_;
        expect(write.in_place() == alone, "where it is written");
        expect(write.view()(0) == version->value && write.version() == version->number + 1, "what the writer begins with");
        const float value = static_cast<float>(++next_value_);
        for (float& element : write.view().span()) element = value;
        if (alone) {
          ++in_place_;
          // Forms that are held keep the elements that they were made of.
          auto before = std::make_shared<Version>(*version);
          for (HeldForm& form : forms_) if (form.version == version) form.version = before;
          version->value = value;
          version->form_objects = 0;
          ++version->number;
        } else if (random_.below(4) == 0) {
          expect(write.discard(), "discard");
          break;
        } else {
          auto next = std::make_shared<Version>(*version);
          next->value = value;
          ++next->number;
          next->objects = next->handles = next->form_objects = 0;
          for (auto& [holder, held] : version->hold) held = false;
          if (version->objects > 0) past_.push_back(version);
          tensors_[name] = next;
        }
        break;
      }
      case 14:
        if (random_.below(8) == 0) {
          const auto result = manager_.optimize_memory(static_cast<ct::MemoryMode>(random_.below(3)));
          expect(result.initial_bytes - result.freed_bytes == result.current_bytes && result.remaining_tensors == tensors_.size(), "optimize_memory");
        }
        break;
      case 15:
        if (!held_.empty()) {
          const Held& held = held_[random_.below(held_.size())];
          handles_.push_back({*held.lease, held.version});
          ++held.version->handles;
          if (auto again = held.lease.again()) {
            expect(held.linked, "again");
            ++held.version->objects;
            held_.push_back({std::move(again), held.name, held.model, held.version});
          } else {
            expect(!held.linked, "again of an ended lease");
          }
        }
        break;
      case 16:
      case 17: {
        std::optional<ct::Lease<ct::bf16>> lease;
        if (!version) {
          expect(!manager_.try_get<ct::bf16>(name, model).has_value(), "a form of nothing");
          ++misses_;
          break;
        }
        const auto get = [&] { lease = manager_.get<ct::bf16>(name, model); };
        // One that nobody holds may still be there, and then needs no room for its source.
        const std::size_t others = kept(version.get()), source = version->pages * page;
        if (version->form_objects > 0) allowed(true, "get a form that is there", get);
        else if (others + source + version->form_bytes() <= budget) allowed(true, "get a form", get);
        else if (others + version->form_bytes() > budget) allowed(false, "get a form", get);
        else {
          try {
            get();
          } catch (const ct::BudgetExceeded&) {
            ++refused_;
          }
        }
        if (lease) {
          ++hits_, ++formed_;
          ++version->form_objects;
          forms_.push_back({std::move(*lease), name, model, version});
        }
        break;
      }
    }
    for (const HeldForm& form : forms_) {
      const auto view = form.lease->view();
      const ct::bf16 value(form.version->value);
      expect(view(0) == value && view(static_cast<std::ptrdiff_t>(view.size()) - 1) == value, "a form's elements are of another version");
    }
    for (const Held& held : held_) {
      const auto view = held.lease->view();
      expect(view(0) == held.version->value && view(static_cast<std::ptrdiff_t>(view.size()) - 1) == held.version->value, "a lease's elements changed");
    }
  }

  void compare() {
    const auto stats = manager_.stats();
    expect(stats.true_bytes <= budget && stats.peak_bytes <= budget, "over budget");
    expect(stats.hits == hits_ && stats.misses == misses_, "hits and misses");
    std::size_t on_forms = 0, held_forms = 0;
    for (const auto& [name, tensor] : stats.tensors) if (!tensor.form.empty()) on_forms += tensor.leases;
    for (const HeldForm& form : forms_) held_forms += form.linked;
    expect(on_forms == held_forms, "leases of forms");
    std::size_t extra = 0, present = 0;
    for (const auto& [name, tensor] : stats.tensors) {
      extra += tensor.extra_bytes;
      present += tensors_.count(name);
    }
    expect(extra == stats.true_bytes, "the sum of the blocks");
    expect(present == tensors_.size(), "a name was lost");
    for (const auto& [name, version] : tensors_) {
      const auto& tensor = stats.tensors.at(name);
      expect(tensor.version == version->number && tensor.pinned == pinned_.at(name), name + ": version or pin");
      expect(tensor.resident || (!version->used() && !pinned_.at(name)), name + " was evicted under a lease, a pin or a handle");
      for (int model = 0; model < models; ++model) {
        const std::string key = "m" + std::to_string(model);
        const auto holder = tensor.holders.find(key);
        expect((holder == tensor.holders.end() ? 0 : holder->second) == count(version.get(), key), name + ": leases of " + key);
      }
    }
  }

  Random random_;
  std::shared_ptr<share_tests::MemorySpill> spill_ = std::make_shared<share_tests::MemorySpill>();
  ct::TensorSharingManager manager_{{.max_memory = budget, .spill = spill_, .deduplicate = false}};
  std::map<std::string, std::shared_ptr<Version>> tensors_;
  std::map<std::string, bool> pinned_;
  std::vector<std::shared_ptr<Version>> past_;
  std::vector<Held> held_;
  std::vector<Handle> handles_;
  std::vector<HeldForm> forms_;
  std::size_t at_ = 0, next_value_ = 0, hits_ = 0, misses_ = 0, refused_ = 0, writes_ = 0, in_place_ = 0, formed_ = 0;
};

// ---- Many threads ----

// Every element of a tensor is its number, plus 1000 for each write (below 2^24, so floats count exactly). Tensors 0 to 31 are never forgotten.
void mix(std::size_t thread_count, double seconds, std::uint64_t seed) {
  constexpr std::size_t tensors = 48, forgettable_from = 32, budget = 100 * page;  // of about 160: every tensor has 1 to 6 pages
  const auto spill = std::make_shared<share_tests::MemorySpill>();
  ct::TensorSharingManager manager{{.max_memory = budget,
                                    .grace_period = std::chrono::nanoseconds(0),
                                    .record_timeline = true,
                                    .timeline_events = 64,
                                    .spill = spill,
                                    .deduplicate_from = page,
                                    .record_events = true,
                                    .event_capacity = 64}};
  std::atomic<std::size_t> operations{0}, refused{0}, late{0};
  std::atomic<bool> end{false};
  const auto make = [](std::size_t number) { return filled(static_cast<float>(number), 1 + number % 6); };
  const auto wrong = [&](const char* what) { fail(what, operations); };
  // All elements alike, and of this tensor.
  const auto check = [&](const auto& view, std::size_t number) {
    const float first = view(0);
    if (static_cast<std::size_t>(first) % 1000 != number) wrong("the elements of another tensor");
    for (std::size_t i = 0; i < view.size(); i += 97) if (view(i) != first) wrong("a torn tensor");
    if (view(static_cast<std::ptrdiff_t>(view.size()) - 1) != first) wrong("a torn tensor");
  };
  for (std::size_t number = 0; number < tensors; ++number) manager.register_tensor("t" + std::to_string(number), make(number));
  const auto work = [&](std::size_t thread) {
    Random random{seed + thread};
    const std::string model = "model" + std::to_string(thread % 16);
    std::vector<std::pair<ct::Lease<float>, std::size_t>> leases;
    std::vector<std::pair<ct::Lease<std::int8_t>, float>> forms;  // and the least value that it may be of
    while (!end) {
      const std::size_t number = random.below(tensors);
      const std::string name = "t" + std::to_string(number);
      try {
        switch (random.below(23)) {
          default:
            if (auto lease = manager.try_get<float>(name, model)) leases.emplace_back(std::move(*lease), number);
            else if (number < forgettable_from) wrong("a tensor was lost");
            break;
          case 0: check(manager.register_tensor(name, make(number), {.producer = random.below(4) == 0 ? model : ""}).view(), number); break;
          case 1:
          case 2: {
            auto write = manager.write<float>(name, model, std::chrono::milliseconds(random.below(20)));
            const float next = write.view()(0) < 16'000'000 ? write.view()(0) + 1000 : static_cast<float>(number);
            for (float& element : write.view().span()) element = next;
            break;
          }
          case 3: {
            const auto stats = manager.stats();
            if (stats.true_bytes > budget || stats.peak_bytes > budget) wrong("over budget");
            if (random.below(8) == 0) static_cast<void>(manager.report());
            break;
          }
          case 4: manager.release(name, model); break;
          case 5:
            if (random.below(8) == 0) manager.release_model(model);
            break;
          case 6:
            if (random.below(8) == 0) manager.optimize_memory(static_cast<ct::MemoryMode>(random.below(3)));
            break;
          case 7:
            if (number >= forgettable_from) manager.forget(name);
            break;
          case 8: {
            const auto view = manager.create_view<float>(name, "v" + std::to_string(number), {512}, {512}, model);
            check(view->view(), number);
            break;
          }
          case 9:
            manager.share(name, model, {"model" + std::to_string(random.below(16))});
            if (random.below(2) == 0) manager.pin(name);
            manager.unpin(name);
            break;
          case 10:
            if (random.below(16) == 0) static_cast<void>(manager.find_duplicates());
            static_cast<void>(manager.can_be_freed(name));
            break;
          case 11:
          case 12: {
            // Quantised after whatever was written before: all elements alike, and of this tensor.
            auto form = manager.get<std::int8_t>(name, model, {});
            const auto quantized = form.quantized();
            const float value = quantized.scale.view().data()[0] * 127;
            const bool zeros = value == 127.0f && form->view()(0) == 0;  // whose scale is 1
            if (!zeros && static_cast<std::size_t>(std::lround(value)) % 1000 != number && std::fabs(value) > 1.5f) wrong("a form of another tensor");
            forms.emplace_back(std::move(form), value);
            break;
          }
          case 13: {
            manager.set_form(name, model, {.width = std::size_t{256}, .fit = ct::Fit::slice});
            const auto narrow = manager.get<float>(name, model);
            if (narrow->size() == 256) check(narrow->view(), number);  // another thread of this model may have cleared the form
            manager.clear_form(name, model);
            break;
          }
        }
      } catch (const ct::BudgetExceeded&) {
        ++refused;
      } catch (const ct::TimedOut&) {
        ++late;
      } catch (const ct::NotFound&) {
        if (number < forgettable_from) wrong("a tensor was lost");
      } catch (const ct::AlreadyRegistered&) {  // the view of a version that has been replaced since
      }
      for (const auto& [lease, of] : leases) check(lease->view(), of);
      for (const auto& [form, value] : forms) {
        const auto view = form->view();
        const std::int8_t expected = value == 127.0f && view(0) == 0 ? std::int8_t{0} : std::int8_t{127};
        for (std::size_t i = 0; i < view.size(); i += 97) if (view(i) != expected) wrong("a torn form");
        if (form.quantized().scale.view().data()[0] * 127 != value) wrong("a form that changed");
      }
      if (forms.size() > random.below(3)) forms.clear();
      if (leases.size() > random.below(3)) leases.clear();
      ++operations;
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < thread_count; ++thread) threads.emplace_back(work, thread);
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  end = true;
  for (std::thread& thread : threads) thread.join();
  const auto stats = manager.stats();
  std::printf("mix: %zu threads, %zu operations in %.0f s; %zu evictions, %zu reloads, %zu joined, %zu refused, %zu late, peak %zu of %zu bytes\n",
              thread_count, operations.load(), seconds, stats.evictions, stats.reloads, stats.deduplicated, refused.load(), late.load(), stats.peak_bytes,
              budget);
  for (int model = 0; model < 16; ++model) manager.release_model("model" + std::to_string(model));
  for (const auto& [name, tensor] : manager.tensor_memory_usage()) {
    if (tensor.leases != 0 || !tensor.writer.empty()) fail(name + " is still held", operations);
  }
  for (std::size_t number = 0; number < tensors; ++number) {
    const std::string name = "t" + std::to_string(number);
    if (const auto lease = manager.try_get<float>(name, "last")) check((*lease)->view(), number);
    else if (number < forgettable_from) fail(name + " was lost", operations);
    manager.forget(name);
    manager.forget("v" + std::to_string(number));
  }
  manager.optimize_memory();
  if (manager.stats().true_bytes != 0 || manager.stats().total_tensors != 0 || spill->count() != 0 || spill->wrong != 0) fail("something is left at the end", operations);
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t operations = 1000000;
  double seconds = 60;
  std::uint64_t seed = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--quick") operations = 20000, seconds = 3;
    else if (argument == "--operations" && i + 1 < argc) operations = std::strtoull(argv[++i], nullptr, 10);
    else if (argument == "--seconds" && i + 1 < argc) seconds = std::strtod(argv[++i], nullptr);
    else if (argument == "--seed" && i + 1 < argc) seed = std::strtoull(argv[++i], nullptr, 10);
    else {
      std::printf("usage: soak [--quick] [--operations N] [--seconds S] [--seed N]\n");
      return 2;
    }
  }
  Oracle(seed).run(operations);
  mix(64, seconds, seed);
  std::printf("all invariants held\n");
}
