// Deferred: a test backend that only records when called, and runs at synchronize(), in memory that the host cannot
// touch meanwhile (its pages are protected). What passes on it fits a GPU queue and a graph.
#ifndef COTENANT_TESTS_BACKEND_DEFERRED_HPP
#define COTENANT_TESTS_BACKEND_DEFERRED_HPP
#include <sys/mman.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "cotenant/reference/reference.hpp"

namespace cotenant::test {

class Deferred;

// Pages of the device; PROT_NONE except while the device runs.
struct DeferredMemory {
  using backend = Deferred;
  using result = DeferredMemory;
  static constexpr bool host_accessible = false;
  static constexpr bool writable = true;
  static constexpr std::string_view name() { return "deferred"; }
  DeferredMemory result_storage() const { return *this; }
  Deferred& backend_instance() const { return *device; }
  Allocation allocate(std::size_t bytes);
  void deallocate(Allocation allocation) noexcept;

  Deferred* device = nullptr;
};

class Deferred {
 public:
  using storage_type = DeferredMemory;
  static constexpr bool runs_when_called = false;
  static constexpr std::string_view name() { return "deferred"; }
  Deferred() = default;
  Deferred(const Deferred&) = delete;
  Deferred& operator=(const Deferred&) = delete;
  DeferredMemory storage() { return {this}; }
  std::size_t recorded() const { return queue_.size(); }
  std::size_t allocations() const { return pages_.size(); }

  // Runs what was recorded, in order, with the device's memory open.
  void synchronize() {
    const std::lock_guard lock(mutex_);
    auto work = std::exchange(queue_, {});
    if (work.empty()) return;
    protect(PROT_READ | PROT_WRITE);
    for (auto& entry : work) entry.run();
    protect(PROT_NONE);
    // Only now may operands that nobody else holds be freed.
    const auto dropped = std::move(work);
  }

  template <class T> void copy(const CopyArguments<T>& a) {
    if (a.in.block->host_accessible()) {
      // The host may change its bytes after the call: take them now, as a staging buffer does.
      SharedTensor<T> staging = empty<T>(a.in.shape());
      Reference{}.copy(CopyArguments<T>{a.in, {staging.mutable_view(), staging.block().get()}});
      const Operand<const T> staged{staging.view(), staging.block().get()};
      record(CopyArguments<T>{staged, a.out}, a.out, [](const auto& x) { Reference{}.copy(x); }, staged);
    } else {
      record(a, a.out, [](const auto& x) { Reference{}.copy(x); }, a.in);
    }
  }
  template <class Out, class E, class... In> void map(const MapArguments<Out, E, In...>& a) {
    std::apply([&](const auto&... in) { record(a, a.out, [](const auto& x) { Reference{}.map(x); }, in...); }, a.in);
  }
  template <class A, class B, class Out, class E, class... Extra> void matmul(const MatmulArguments<A, B, Out, E, Extra...>& a) {
    std::apply([&](const auto&... extra) { record(a, a.out, [](const auto& x) { Reference{}.matmul(x); }, a.a, a.b, extra...); }, a.extra);
  }
  template <class In, class Out> void softmax(const SoftmaxArguments<In, Out>& a) { record(a, a.out, [](const auto& x) { Reference{}.softmax(x); }, a.in); }
  template <class Q, class K, class V, class Mask, class Out> void attention(const AttentionArguments<Q, K, V, Mask, Out>& a) {
    record(a, a.out, [](const auto& x) { Reference{}.attention(x); }, a.q, a.k, a.v, a.mask);
  }
  template <class Kind, class In, class Out> void reduce(const ReduceArguments<Kind, In, Out>& a) { record(a, a.out, [](const auto& x) { Reference{}.reduce(x); }, a.in); }
  template <class T> void top_k(const TopKArguments<T>& a) {
    record(a, a.values, [](const auto& x) { Reference{}.top_k(x); }, a.in, a.indices);
    a.indices.block->set_pending(make_ref<Done>(*this));
  }
  template <class In, class Residual, class P, class Sum, class Out> void norm(const NormArguments<In, Residual, P, Sum, Out>& a) {
    record(a, a.out, [](const auto& x) { Reference{}.norm(x); }, a.in, a.residual, a.scale, a.bias, a.sum);
    if (a.sum.block != nullptr) a.sum.block->set_pending(make_ref<Done>(*this));
  }
  template <class In, class Table, class Out> void rotary(const RotaryArguments<In, Table, Out>& a) {
    record(a, a.out_first, [](const auto& x) { Reference{}.rotary(x); }, a.first, a.cosine, a.sine);
  }
  template <class T, class Index, class Out> void gather(const GatherArguments<T, Index, Out>& a) {
    const auto clamped = [](const auto& x) {
      const auto rows = static_cast<Index>(x.table.shape()[0]);
      const std::size_t count = x.indices.view.size(), length = count == 0 ? 0 : x.out.view.size() / count;
      for (std::size_t i = 0; i < count; ++i) {
        Index index = reference::element(x.indices.view, i);
        index = std::clamp<Index>(index < 0 ? index + rows : index, 0, rows - 1);
        for (std::size_t j = 0; j < length; ++j)
          reference::element(x.out.view, i * length + j) = convert<Out>(reference::element(x.table.view, static_cast<std::size_t>(index) * length + j));
      }
    };
    record(a, a.out, clamped, a.table, a.indices);
  }
  template <class In, class Q> void quantize(const QuantizeArguments<In, Q>& a) { record(a, a.out, [](const auto& x) { Reference{}.quantize(x); }, a.in, a.scale, a.zero_point); }
  template <class Q, class Out> void dequantize(const DequantizeArguments<Q, Out>& a) {
    record(a, a.out, [](const auto& x) { Reference{}.dequantize(x); }, a.in, a.scale, a.zero_point);
  }
  template <class In, class Q> void dynamic_quantize(const DynamicQuantizeArguments<In, Q>& a) {
    record(a, a.values, [](const auto& x) { Reference{}.dynamic_quantize(x); }, a.in, a.scale, a.zero_point);
    a.scale.block->set_pending(make_ref<Done>(*this));
    if (a.zero_point.block != nullptr) a.zero_point.block->set_pending(make_ref<Done>(*this));
  }
  template <class In, class Q> void requantize(const RequantizeArguments<In, Q>& a) {
    record(a, a.out, [](const auto& x) { Reference{}.requantize(x); }, a.in, a.in_scale, a.in_zero_point, a.scale, a.zero_point);
  }
  template <class A, class B, class Out, class E, class... Extra> void quantized_matmul(const QuantizedMatmulArguments<A, B, Out, E, Extra...>& a) {
    std::apply(
        [&](const auto&... extra) {
          record(a, a.out, [](const auto& x) { Reference{}.quantized_matmul(x); }, a.a, a.b, a.a_scale, a.b_scale, a.a_zero_point, a.b_zero_point, extra...);
        },
        a.extra);
  }

 private:
  friend DeferredMemory;
  struct Entry {
    std::vector<BlockRef> operands;  // kept until the entry has run
    std::function<void()> run;
  };
  class Done final : public Completion {
   public:
    explicit Done(Deferred& device) : device_(device) {}
    void wait() override { device_.synchronize(); }

   private:
    Deferred& device_;
  };

  template <class Arguments, class T, class Run, class... In> void record(const Arguments& arguments, const Operand<T>& out, Run run, const Operand<In>&... in) {
    Entry entry{{BlockRef(out.block)}, [arguments, run] { run(arguments); }};
    (entry.operands.emplace_back(in.block), ...);
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(std::move(entry));
    }
    out.block->set_pending(make_ref<Done>(*this));
  }
  void protect(int access) {
    for (const auto& [data, bytes] : pages_) ::mprotect(data, bytes, access);
  }

  mutable std::recursive_mutex mutex_;  // dropping an operand inside synchronize() frees its pages
  std::vector<Entry> queue_;
  std::map<void*, std::size_t> pages_;
};
static_assert(Backend<Deferred>);

inline Allocation DeferredMemory::allocate(std::size_t bytes) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t size = (std::max<std::size_t>(bytes, 1) + page - 1) / page * page;
  void* data = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) raise<OutOfMemory>("the deferred device has no pages left");
  const std::lock_guard lock(device->mutex_);
  device->pages_[data] = size;
  return {data, size};
}
inline void DeferredMemory::deallocate(Allocation allocation) noexcept {
  const std::lock_guard lock(device->mutex_);
  device->pages_.erase(allocation.data);
  ::munmap(allocation.data, allocation.bytes);
}
static_assert(AllocatingStorage<DeferredMemory>);

}  // namespace cotenant::test

#endif
