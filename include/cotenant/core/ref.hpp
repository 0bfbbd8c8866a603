// Ref: a counted handle on what make_ref() made, as std::shared_ptr is, without virtual functions.
#ifndef COTENANT_CORE_REF_HPP
#define COTENANT_CORE_REF_HPP
#include <atomic>
#include <concepts>
#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace cotenant {

template <class T> class Ref;

// Base of what Ref counts.
//
// A std::shared_ptr lets go through a virtual function, and g++ -O2 works on all that a virtual call might reach before it throws
// away what none does: a program with one product compiled the store, JSON and whatever else is held by a std::shared_ptr, too,
// 3 of its 12 seconds. A call by a pointer reaches nothing that it was not set to.
class Counted {
 public:
  Counted() = default;
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

  // Handles at this moment; other threads may change it at once.
  std::size_t references() const noexcept { return references_.load(std::memory_order_acquire); }

 protected:
  ~Counted() = default;

 private:
  template <class T> friend class Ref;

  mutable std::atomic<std::size_t> references_{0};
  mutable void (*destroy_)(const Counted&) noexcept = nullptr;
};

// Copying costs one relaxed increment. T may be const.
template <class T> class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) noexcept {}
  // Another handle on what has one already.
  explicit Ref(T* object) noexcept : object_(object) {
    if (object_ != nullptr) object_->Counted::references_.fetch_add(1, std::memory_order_relaxed);
  }
  Ref(const Ref& other) noexcept : Ref(other.object_) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  template <class U> requires std::convertible_to<U*, T*> Ref(Ref<U> other) noexcept : object_(other.detach()) {}
  // Two, and not one that takes its argument by value: clang 14 never destroys what `reference = {}` makes for that in a template.
  Ref& operator=(const Ref& other) noexcept { return *this = Ref(other); }
  Ref& operator=(Ref&& other) noexcept {
    Ref old(std::move(other));
    std::swap(object_, old.object_);
    return *this;
  }
  ~Ref() {
    // Release orders this thread's accesses before the count; acquire orders the others' before the destruction.
    if (object_ == nullptr) return;
    const Counted& counted = *object_;
    if (counted.references_.fetch_sub(1, std::memory_order_acq_rel) == 1) counted.destroy_(counted);
  }

  // The object, which the caller counts from now on, and the way back.
  T* detach() noexcept { return std::exchange(object_, nullptr); }
  static Ref attach(T* object) noexcept {
    Ref ref;
    ref.object_ = object;
    return ref;
  }
  // The same object by a type that the caller knows it to have.
  template <class U> Ref<U> as() const noexcept { return Ref<U>::attach(static_cast<U*>(Ref(*this).detach())); }

  T* get() const noexcept { return object_; }
  T* operator->() const noexcept { return object_; }
  T& operator*() const noexcept { return *object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }
  // The first handle on an object that was made by new; null where that is.
  static Ref first(T* object) noexcept {
    if (object != nullptr) object->Counted::destroy_ = [](const Counted& counted) noexcept { delete static_cast<const T*>(&counted); };
    return Ref(object);
  }
  std::size_t use_count() const noexcept { return object_ == nullptr ? 0 : object_->Counted::references(); }
  friend bool operator==(const Ref& a, const Ref& b) noexcept { return a.object_ == b.object_; }
  friend bool operator==(const Ref& a, std::nullptr_t) noexcept { return a.object_ == nullptr; }

 private:
  T* object_ = nullptr;
};

// A new T, which derives from Counted, with one handle on it.
template <class T, class... Arguments> Ref<T> make_ref(Arguments&&... arguments) {
  return Ref<T>::first(new std::remove_const_t<T>(std::forward<Arguments>(arguments)...));
}
// Null where the system has no memory; the arguments are as they were then.
template <class T, class... Arguments> Ref<T> try_make_ref(Arguments&&... arguments) {
  return Ref<T>::first(new (std::nothrow) std::remove_const_t<T>(std::forward<Arguments>(arguments)...));
}

}  // namespace cotenant

#endif
